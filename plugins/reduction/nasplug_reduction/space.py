"""The space `reduction`: everything smaller than one trained network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.io import Inputs, InputsLike
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture, Genotype
from nasplug.contract.wording import plural
from nasplug.cost.meta import meta_copy
from nasplug.evaluate.usermodel import KINDS, UserModel
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.hyperparameters import part_of
from nasplug.surgery import Channels, channels_of, edit_of, repeat
from nasplug.tasks.batches import inputs_of_batch
from nasplug_reduction.importance import Importance, ranked
from nasplug_reduction.inheritance import inherit
from nasplug_reduction.layout import BLOCK, WIDTH, Kept, Layout, options
from nasplug_reduction.picture import picture

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from nasplug.contract.protocols import Task
    from nasplug.evaluate.trialrun import TrialRun


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Widths that a channel group may have.

    Attributes:
        levels: Number of equal steps between nothing and the original width.
        least: Smallest number of channels that stay.
        round_to: Number that widths are multiples of, such as 8 for hardware that works in eights.

    Raises:
        SpecError: A number is less than 1.
    """

    levels: int = 16
    least: int = 4
    round_to: int = 1

    def __post_init__(self) -> None:
        for name in ("levels", "least", "round_to"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name} must be >= 1, got {getattr(self, name)}", where="reduction, widths")


class ReductionSpace(ChoiceSpace):
    """All networks that are left of a trained one when channels and blocks are taken out, with their weights.

    There is a choice for the width of every channel group, that is, of everything that must shrink together, and one
    for every residual block that can be passed by. The channels that stay are the most important ones of the trained
    network, so a narrower network is a part of every wider one. A built network has the trained weights; the statistics
    of its batch normalisations are measured anew before it is scored. Works with any network that surgery can follow;
    `refused` says what cannot shrink, and why.

    Example:
        >>> space = ReductionSpace("my_project:model", weights="w.ckpt", inputs=(3, 32, 32))

    Args:
        model: `package.module:name` of a class or function that makes the network, or the LightningModule around it;
            `timm:NAME`; or, in Python, the class, the function or a trained module.
        weights: File of trained weights: safetensors, torch weights, a Lightning checkpoint, `hub` for timm's own, or
            `random` for a network that is not trained yet.
        inputs: Inputs of the network without the batch, such as [3, 224, 224]; None takes the module's
            `example_input_array`, or what timm says.
        arguments: Arguments of the class or function; those that a Lightning checkpoint holds need not be given.
        network_attribute: Path of the network inside a LightningModule; None finds it.
        prefix: Prefix of the names in the file of weights; None finds it.
        importance: Score that decides which channels stay: `magnitude`, `bn_scale` or `random`.
        widths: Widths that a channel group may have.
        blocks: Whether residual blocks may be passed by.
        recalibrate: Number of training batches for the statistics of batch normalisations; 0 leaves them as they are.

    Attributes:
        refused: Reason by name of every channel group whose width cannot change.

    Raises:
        SpecError: There is no such model, its weights are missing or do not fit, or its inputs are not known.
        SurgeryError: The network cannot be followed.
    """

    def __init__(
        self,
        model: str | nn.Module | Callable[..., object] | UserModel,
        weights: str | None = None,
        inputs: InputsLike | None = None,
        arguments: JsonObject | None = None,
        network_attribute: str | None = None,
        prefix: str | None = None,
        importance: Importance = "magnitude",
        widths: Widths = Widths(),
        blocks: bool = True,
        recalibrate: int = 20,
    ) -> None:
        if not isinstance(model, UserModel):
            model = UserModel(model, weights, arguments, network_attribute, prefix)
        self.model = model
        known = self.model.inputs if inputs is None else Inputs.of(inputs)
        if known is None:
            raise SpecError(
                f"the inputs of {self.model.name} are not known",
                where="reduction",
                fix="give inputs: [3, 224, 224], or set example_input_array in the LightningModule",
            )
        self.inputs = known
        self.recalibrate = recalibrate
        network = self.model.network
        channels = channels_of(network, known)
        self.refused: dict[str, str] = dict(channels.refused)
        choices, names = [], []
        for group in channels:
            given = options(group.size, group.maker.places.shape[1], widths.levels, widths.least, widths.round_to)
            if len(given) == 1:
                self.refused[group.name] = f"it has {plural(group.size, 'channel')}, and {widths.least} or more stay"
                continue
            names.append(group.name)
            choices.append(Choice(f"{WIDTH}{group.name}", given))
        self.groups = tuple(names)
        self.blocks = residual_blocks(channels) if blocks else ()
        choices += [Choice(f"{BLOCK}{path}", ("drop", "keep")) for path in self.blocks]
        if not choices:
            raise SpecError(
                f"nothing of {self.model.name} can become smaller",
                where="reduction",
                why="; ".join(f"{name}: {why}" for name, why in self.refused.items())[:500] or "it has no channels",
            )
        self.layout = Layout.of(network, channels, names)
        found = ranked(network, channels, self.groups, importance)
        self.order = {name: order for name, (order, _) in found.items()}
        #: Scores of the channels by group, in the order of their importance.
        self.scores = {name: scores for name, (_, scores) in found.items()}
        self._position = {path: len(names) + index for index, path in enumerate(self.blocks)}
        self._inner = {path: self.layout.within(path) for path in self.blocks}
        self._twin = meta_copy(network)
        super().__init__("reduction", choices)

    @classmethod
    def from_model(cls, module: nn.Module, example: InputsLike | Tensor, **settings: Any) -> ReductionSpace:
        """Makes the space of a module that is trained already.

        Args:
            module: Trained network, or the LightningModule around it; not touched.
            example: Batch that the network could be called with, or the shape of one input without the batch.
            **settings: Further arguments of the space.
        """
        inputs = inputs_of_batch(example, "example") if isinstance(example, Tensor) else Inputs.of(example)
        return cls(module, inputs=inputs, **settings)

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        return [{"model": "nasplug_reduction.example:small_resnet", "weights": "random", "inputs": [3, 16, 16]}]

    # -- what the space says of its networks -------------------------------------------------------------------------

    @cached_property
    def produces(self) -> tuple[str, ...]:
        """Outputs of the network."""
        answer = self.model.answer(self.inputs)
        kind = KINDS.get(answer.ndim) if isinstance(answer, Tensor) else None
        return tuple(KINDS.values()) if kind is None else (kind,)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses inputs that the network was not made for.

        Args:
            inputs: Inputs that the task feeds.

        Raises:
            SpecError: They have another shape.
        """
        if inputs != self.inputs:
            raise SpecError(
                f"expected {self.inputs}, got {inputs}", fix="give the space the `inputs` that the data have"
            )

    @property
    def full(self) -> Architecture:
        """The original network."""
        return self.from_vector([len(choice.options) - 1 for choice in self.choices])

    @property
    def smallest(self) -> Architecture:
        """The network with all widths at their least and all blocks passed by."""
        return self.from_vector([0] * len(self.choices))

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Leaves out widths inside of blocks that are passed by."""
        gone = {name for path in self.dropped(genotype) for name in self._inner[path]}
        if not gone:
            return genotype
        widths = [None if name in gone else width for name, width in zip(self.groups, genotype, strict=False)]
        return (*widths, *genotype[len(self.groups) :])

    def dropped(self, genotype: Genotype) -> tuple[str, ...]:
        """Paths of the blocks that a genotype passes by."""
        assert isinstance(genotype, tuple)
        return tuple(path for path, position in self._position.items() if genotype[position] == "drop")

    def widths(self, architecture: Architecture) -> dict[str, int]:
        """Number of channels of every group that there is, by name."""
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        gone = {name for path in self.dropped(genotype) for name in self._inner[path]}
        pairs = zip(self.groups, genotype, strict=False)
        return {name: int(width) for name, width in pairs if name not in gone}

    def kept(self, architecture: Architecture) -> dict[str, Kept]:
        """Original numbers of the channels that stay, ascending, by group."""
        widths = self.widths(architecture)
        return {name: np.sort(self.order[name][:width]) for name, width in widths.items()}

    def params(self, architecture: Architecture) -> int:
        """Number of parameters, without building the network."""
        return self.layout.params(self.widths(architecture), self.dropped(architecture.genotype))

    def records(self, architecture: Architecture) -> list[JsonObject]:
        """Edits that make the network out of the original one, as surgery repeats them."""
        removed = {}
        for name, channels in self.kept(architecture).items():
            out = np.setdiff1d(np.arange(self.layout.groups[name].size), channels)
            if len(out):
                removed[name] = out.tolist()
        edits = [edit_of("remove", removed, inexact=True)] if removed else []
        dropped = self.dropped(architecture.genotype)
        if dropped:
            edits.append(edit_of("drop", {}, modules=dropped))
        return [edit.to_plain(self.inputs) for edit in edits]

    def build(self, architecture: Architecture, task: Task | None = None) -> nn.Module:
        """Builds the network, with the weights that are left of the trained ones."""
        return repeat(self.model.copy(), self.records(architecture))

    def skeleton(self, architecture: Architecture) -> nn.Module:
        """Builds the network on the meta device: shapes, no numbers."""
        return repeat(copy.deepcopy(self._twin), self.records(architecture))

    def graph(self, architecture: Architecture) -> Graph:
        """The layers with their widths, each joined to those that read its channels."""
        return picture(self.layout, self.widths(architecture), self.dropped(architecture.genotype))

    # -- hooks -------------------------------------------------------------------------------------------------------

    @hookimpl
    def inherit(self, run: TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        """Takes the weights of channels and blocks that both networks have."""
        mine = part_of(self, run.space, run.trial.architecture)
        before = None if run.parent is None else part_of(self, run.space, run.parent.architecture)
        if mine is None or before is None:
            return None
        own = self.layout.indices(self.kept(mine))
        theirs = self.layout.indices(self.kept(before))
        inherit(network, weights, own, theirs)
        return True

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> list[Callback]:
        """Takes shared weights if there are any, and measures statistics anew where something was taken out."""
        architecture = part_of(self, run.space, run.trial.architecture)
        if architecture is None:
            return []
        shared = run.trial.proposal.info.get("supernet")
        if shared is not None and run.trial.proposal.inherits is None:
            from nasplug_reduction.supernet import put

            put(run.network, self, architecture, run.study.work_folder(str(shared)))
        if not self.recalibrate or architecture.key == self.full.key:
            return []
        from nasplug.evaluate.recalibration import Recalibration
        from nasplug.evaluate.trainer import as_callback
        from nasplug.lightning.distribution import lightning_of

        lightning = lightning_of(self.model.owner)
        return [cast("Callback", as_callback(Recalibration, lightning)(run.network, self.recalibrate))]


def residual_blocks(channels: Channels) -> tuple[str, ...]:
    """Paths of the outermost modules that add what they compute to what they are given.

    Args:
        channels: Channels of the network.
    """
    found: list[str] = []
    for path in sorted(channels.droppable):
        adds = any(".add" in name for name in channels.trace.operators.get(path, ()))
        if adds and not any(path.startswith(f"{other}.") for other in found):
            found.append(path)
    return tuple(found)
