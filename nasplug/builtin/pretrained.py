"""The wrapper `pretrained`: trials start from weights that were trained elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytorch_lightning import Callback
    from torch import nn

    from nasplug.contract.records import Trial
    from nasplug.evaluate.trialrun import TrialRun

Normalisation = Literal["weights", "any"]


class Pretrained:
    """Starts every training from weights of a hub's cache or of a file, in place of random ones.

    The weights are put in just before a training, so pricing, exporting and loading networks need no file. Trials that
    continue another one, or start from its weights, keep those. The head stays fresh if the file has another number of
    classes; anything else that does not fit fails the trial. The trial records name and checksum of the file: a
    retraining of it refuses another file, and so does a run that resumes the study.

    Example:
        >>> wrapper = Pretrained("weights/resnet18.safetensors")

    Args:
        weights: `hub` for the weights that timm has for each model of its own; `torchvision:resnet18` or
            `torchvision:resnet18:IMAGENET1K_V1`; or the path of a file: safetensors, torch weights or a Lightning
            checkpoint, of which tensors alone are read.
        prefix: Prefix of the tensors' names in the file, such as `model.`; None finds the usual ones.
        partial: Whether to start although tensors beside the head's are missing, unexpected or of another shape.
        normalisation: Rule for images: `weights` refuses data with another mean and standard deviation than the weights
            were trained with, where that is known; `any` takes the data as they are.
        sha256: Checksum that the file must have; None takes any.

    Raises:
        SpecError: An argument is not valid.
    """

    def __init__(
        self,
        weights: str = "hub",
        prefix: str | None = None,
        partial: bool = False,
        normalisation: Normalisation = "weights",
        sha256: str | None = None,
    ) -> None:
        if not weights:
            raise SpecError("no weights are named", where="pretrained", fix="write hub, torchvision:NAME or a file")
        if normalisation not in get_args(Normalisation):
            raise SpecError(
                f"there is no normalisation {normalisation!r}",
                where="pretrained",
                fix=did_you_mean(str(normalisation), get_args(Normalisation)),
            )
        self.weights, self.prefix, self.partial = weights, prefix, partial
        self.normalisation, self.sha256 = normalisation, sha256
        self._checksums: dict[tuple[str, int, int], str] = {}
        self._first: dict[str, str] = {}  # checksum by name, as this process met it first

    @hookimpl(tryfirst=True)
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """Puts the weights in, and records them; there is nothing to do during the training.

        Raises:
            SpecError: There is no such file.
            TrialError: The weights do not fit, or are not those that the trial began with.
        """
        if run.trial.proposal.inherits is not None:
            return []
        from nasplug.evaluate import pretrained

        source = pretrained.find(self.weights, run.network)
        record: JsonObject = {"by": "pretrained", "weights": source.name, "sha256": self._checksum(source.path)}
        self._check_same(run, record)
        if self.normalisation == "weights":
            _check_normalisation(run, self.weights)
        pretrained.load(run.network, source, prefix=self.prefix, partial=self.partial)
        if record not in (*run.trial.edits, *run.edits):
            run.edit(record)
        return []

    @hookimpl
    def edit(self, network: nn.Module, edit: JsonObject) -> nn.Module | None:
        """Leaves the structure as it is: the record says which weights the training began with."""
        return network if edit.get("by") == "pretrained" else None

    def check_resumed(self, trials: Sequence[Trial]) -> None:
        """Refuses to go on with a study whose file of weights is another one by now.

        Args:
            trials: Trials of the study so far.

        Raises:
            SpecError: It is, or it is not there any more.
        """
        recorded = {
            str(edit["weights"]): str(edit["sha256"])
            for trial in reversed(trials)
            for edit in trial.edits
            if edit.get("by") == "pretrained"
        }
        if not recorded:
            return
        from nasplug.evaluate import pretrained

        for name, expected in recorded.items():
            source = pretrained.find_named(self.weights, name)
            if source is not None and (found := self._checksum(source.path)) != expected:
                raise SpecError(_changed(name), where="pretrained", why=_sums(found, expected), fix=_BACK)

    def _check_same(self, run: TrialRun, record: JsonObject) -> None:
        name, found = str(record["weights"]), str(record["sha256"])
        earlier = [item["sha256"] for item in run.trial.edits if item.get("by") == "pretrained"]
        first = self._first.setdefault(name, found)
        for expected in [*([self.sha256] if self.sha256 else []), *map(str, earlier), first]:
            if expected != found:
                where = f"trial {run.number}, pretrained"
                raise TrialError("build", _changed(name), where=where, why=_sums(found, expected), fix=_BACK)

    def _checksum(self, path: Path) -> str:
        import hashlib

        state = path.stat()
        key = (str(path), state.st_mtime_ns, state.st_size)
        if key not in self._checksums:
            with path.open("rb") as file:
                self._checksums[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._checksums[key]


_BACK = "put the earlier file back, or start a new study"


def _changed(name: str) -> str:
    return f"the weights {name!r} are not those that were used before"


def _sums(found: str, expected: str) -> str:
    return f"sha256 is {found}, and {expected} is recorded"


def _check_normalisation(run: TrialRun, weights: str) -> None:
    from nasplug.data.like import config_of

    used = getattr(run.task, "preprocessing", None)
    config = config_of(weights, run.network)
    if config is None or not used or "mean" not in used:
        return
    mean, std = config.statistics(len(used["mean"]))
    pairs = [*zip(used["mean"], mean, strict=True), *zip(used["std"], std, strict=True)]
    if any(abs(one - other) > 1e-4 for one, other in pairs):
        raise SpecError(
            f"the images are normalised to mean {_said(used['mean'])} and standard deviation {_said(used['std'])}, "
            f"and the weights {config.name!r} expect {_said(mean)} and {_said(std)}",
            where="pretrained",
            fix=f"write `loading: {{like: {config.name!r}}}` in the task, or `normalisation: any` here",
        )


def _said(values: object) -> str:
    assert isinstance(values, (list, tuple))
    return "/".join(f"{value:.3g}" for value in values)
