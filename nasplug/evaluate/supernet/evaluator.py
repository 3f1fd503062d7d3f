"""The evaluator `supernet`: one training for all trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nasplug.contract.errors import SpecError, StudyError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HasHyperparameters
from nasplug.contract.records import BASELINE, Evaluation, Measurement
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from nasplug.ledger.view import StudyView

_WHERE = "evaluator 'supernet'"


class SupernetEvaluator:
    """Trains all networks of a space together, once, and scores each with its part of the shared weights.

    Before trial 0 the shared weights are trained as work, with the task's module, optimiser and data; every batch sees
    one candidate. A trial takes its part of them, measures the statistics of batch normalisations anew on training
    batches, and is scored on the validation data. Nothing is trained in a trial: thousands take as long as a few
    trainings. Scores rank networks, they do not say how good one is by itself: `nasplug retrain` trains the best alone.

    Any space can be scored: parameters of one name are shared, in layers of one class and with kernels of one size, and
    a narrower layer has the first channels of a wider one. A space with `shared` (`nasplug.SharesWeights`) says better
    what its networks have in common.

    Sources: Bender et al., "Understanding and Simplifying One-Shot Architecture Search", ICML 2018; Guo et al., "Single
    Path One-Shot", ECCV 2020; Yu and Huang, "Universally Slimmable Networks", ICCV 2019.

    Args:
        epochs: Number of epochs of the shared training, with one candidate per batch.
        sampling: Draws of candidates: `single_path`, as the space draws; `sandwich`, in every step the largest and the
            smallest network beside random ones.
        paths: Number of candidates, each on a batch of its own, whose gradients make one step; None means 1 for
            `single_path` and 4 for `sandwich`.
        recalibrate: Number of training batches for the statistics of batch normalisations; 0 leaves them as they are.

    Raises:
        SpecError: A number is out of range.
    """

    needs_task = True
    #: The evaluator that trains one network alone: `nasplug retrain` and `recommend` take it.
    trains_alone = "lightning"

    def __init__(
        self,
        epochs: int = 20,
        sampling: Literal["single_path", "sandwich"] = "single_path",
        paths: int | None = None,
        recalibrate: int = 8,
    ) -> None:
        if sampling not in ("single_path", "sandwich"):
            raise SpecError(f"cannot draw {sampling!r}", where=_WHERE, fix="write single_path or sandwich")
        least = 3 if sampling == "sandwich" else 1
        paths = (4 if sampling == "sandwich" else 1) if paths is None else paths
        if epochs < 1 or paths < least or recalibrate < 0:
            raise SpecError(
                f"epochs must be >= 1, paths >= {least} and recalibrate >= 0, got {epochs}, {paths} and {recalibrate}",
                where=_WHERE,
            )
        self.recalibrate = recalibrate
        arguments = {"epochs": epochs, "sampling": sampling, "paths": paths}
        self.work = Work("nasplug.evaluate.supernet.training:train", arguments)
        self._read: tuple[Path, dict[str, Tensor]] | None = None

    @hookimpl
    def prepare(self, study: StudyView) -> Work:
        """Names the training of the shared weights.

        Raises:
            SpecError: The search has hyperparameters of the training.
        """
        if isinstance(study.space, HasHyperparameters):
            raise SpecError(
                "hyperparameters of the training cannot be searched with one training for all trials",
                where=_WHERE,
                fix="leave out `hyperparameters:`, or take the evaluator lightning",
            )
        return self.work

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Scores the trial.

        Raises:
            TrialError: The supernet lacks a layer of the network, or nothing was measured.
        """
        from nasplug.evaluate.recalibration import Recalibration
        from nasplug.evaluate.supernet.sharing import fill, memories, places, remember
        from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, fit, quiet
        from nasplug.lightning.distribution import data_for, lightning_of

        if run.number == BASELINE:
            raise TrialError(
                "error", "the baseline is not a network of the space, and the supernet does not hold it", where=_WHERE
            )
        network = run.network
        weights, architecture = self._weights(run), run.trial.architecture
        fill(network, places(run.space, architecture, network), weights)
        remember(network, memories(run.space, architecture, network), weights)
        module = run.task.module(network, run.trial.hyperparameters)
        lightning = lightning_of(module)
        parts: list[Any] = []
        if self.recalibrate:
            parts.append(as_callback(Recalibration, lightning)(network, self.recalibrate))
        with quiet():
            trainer = lightning.Trainer(
                **{**DEFAULTS, **device_options(run.device), "enable_checkpointing": False},
                callbacks=[*parts, *run.callbacks()],
                default_root_dir=run.folder,
            )
            data = data_for(run.data(), module, lightning)
            fit(trainer, lambda: trainer.validate(module, datamodule=data, verbose=False))
        metrics = {str(name): float(value) for name, value in trainer.callback_metrics.items()}
        if not metrics:
            raise TrialError("metric", "the validation logged no metric", where=_WHERE)
        pruned = run.report(Measurement(1, metrics))
        return Evaluation(metrics, network=network, pruned=pruned)

    def _weights(self, run: TrialRun) -> dict[str, Tensor]:
        from nasplug.evaluate.supernet.training import FILE
        from nasplug.evaluate.weights import read_tensors

        path = run.study.work_folder(self.work.key) / FILE
        if self._read is None or self._read[0] != path:
            if not path.is_file():
                raise StudyError("the supernet of this study is not there", where=str(path), fix="resume the run")
            self._read = path, read_tensors(path)
        return self._read[1]
