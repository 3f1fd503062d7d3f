"""Trains a found architecture from scratch, as the search did but fully, and tests it once.

The same evaluator, wrappers and callbacks train it, so that what was found is what is trained. Three things differ:
plugins that say `search_only`, such as `fraction`, are left out, nothing stops the training early, and afterwards the
weights of the best validation epoch meet the test data, which no search has seen.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.arguments import for_task
from nasplug.contract.errors import NasplugError, StudyError
from nasplug.contract.records import Budget, Measurement, Proposal, Trial
from nasplug.export.bundle import write_bundle
from nasplug.export.exporter import Found
from nasplug.export.write import exporters_of, write
from nasplug.plugins.catalog import Catalog
from nasplug.run.alone import alone
from nasplug.run.assemble import Assembly, compose
from nasplug.run.interruption import watching
from nasplug.run.jobs import Job, Message
from nasplug.run.spec import RunSpec
from nasplug.run.worker import Worker

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Scalar


@dataclass(frozen=True)
class Retrained:
    """What a retraining gave.

    Attributes:
        trial: The trial with its new hyperparameters, seed, metrics and measurements.
        test: Metrics on the test data, None if there was no test.
        untested: Reason why there was no test.
        seconds: Wall time of training and test.
        confusion: Counts of the test, row by true class and column by answered class; None without test or classes.
    """

    trial: Trial
    test: Mapping[str, float] | None
    untested: str | None
    seconds: float
    confusion: list[list[int]] | None = None


def retrain(
    spec: RunSpec,
    trial: Trial,
    catalog: Catalog,
    folder: str | Path,
    *,
    epochs: int,
    seed: int = 0,
    hyperparameters: Mapping[str, Scalar] | None = None,
    emit: Callable[[int, Measurement], None] | None = None,
    formats: Sequence[str] = (),
) -> Retrained:
    """Trains the architecture of a trial from new weights, tests it, and writes it to `folder`.

    Args:
        spec: The specification of the search; its task may have been changed.
        trial: Trial that gives architecture and hyperparameters.
        catalog: Catalog to look slugs up in.
        folder: Gets the files of `nasplug.export.bundle.write_bundle`.
        epochs: Number of epochs.
        seed: Seed of the initial weights and the order of batches.
        hyperparameters: Replace those of the trial, or add to them: optimiser, schedule, learning rate.
        emit: Callback for (trial number, measurement), called after every epoch.
        formats: Names of further formats to write into the folder, such as `onnx` and `model_card`.

    Raises:
        UnknownNameError: A format is unknown.
        NasplugError: The training cannot start, or failed.
    """
    import torch

    exporters = exporters_of(formats, catalog, where="formats")

    def say(key: int | str, message: Message) -> None:
        if emit is not None and isinstance(message, Measurement) and isinstance(key, int):
            emit(key, message)

    started = time.perf_counter()
    spec = alone(spec, catalog)
    evaluator = spec.evaluator
    if evaluator.args.get("keep") == "none":  # a search may do without weights, this is about nothing else
        evaluator = dataclasses.replace(evaluator, args={**evaluator.args, "keep": "best"})
    # Nothing may stop this training, and no constraint may refuse it: its costs are known and were accepted.
    spec = spec.replace(
        evaluator=evaluator, stoppers=(), constraints=(), budget=dataclasses.replace(spec.budget, epochs=epochs)
    )
    assembly = compose(spec, catalog, with_strategy=False)
    for _, plugin in assembly.manager.named():
        if getattr(plugin, "search_only", False):  # such as one that takes a part of the data to save time
            assembly.manager.unregister(plugin)
    if assembly.task is None:
        raise StudyError("this search has no task, so there is nothing to train on", where="retrain")
    given = {**trial.hyperparameters, **(hyperparameters or {})}
    assembly.task.check_hyperparameters(list(for_task(given)))
    proposal = Proposal(trial.architecture, given, Budget(epochs), info={"retrained": trial.number})
    torch.set_num_threads(spec.run.threads)
    with tempfile.TemporaryDirectory(prefix="nasplug-") as scratch:
        # The structure as it ended is what was found, and what is trained.
        job = Job(Trial(trial.number, proposal, seed=seed, edits=trial.edits, label=trial.label))
        with watching() as interruption:
            done = Worker(assembly, Path(scratch), interruption=interruption).run(job, say)
        assert isinstance(done, Trial)
        if done.state != "complete":
            reason = done.failure.message if done.failure is not None else done.reason
            raise NasplugError(
                "the training did not finish",
                where=f"retrain of trial {trial.number}",
                why=reason,
                fix="change the hyperparameters (--hyperparameter) or the task (--set), or take another trial",
            )
        ledger = assembly.ledger(folder=Path(scratch), meta={"spec": spec.to_plain()})
        ledger.observe(done)
        study = ledger.result(lambda: assembly)
        network = study.network(done)
        test, untested, confusion = _test(assembly, network, given)
        write_bundle(study, done, network, folder)
        write(Found.of(study, done, network), exporters, Path(folder))
    return Retrained(done, test, untested, time.perf_counter() - started, confusion)


def _test(
    assembly: Assembly, network: nn.Module, hyperparameters: Mapping[str, Scalar]
) -> tuple[dict[str, float] | None, str | None, list[list[int]] | None]:
    """Metrics on the test data, or why there are none. A test that fails must not cost the trained weights."""
    from nasplug.evaluate.trainer import DEFAULTS, device_options, fit, lightning_of, quiet

    assert assembly.task is not None
    module = assembly.task.module(network, hyperparameters)
    found: list[Mapping[str, float]] = []
    with quiet():
        trainer = lightning_of(module).Trainer(
            **DEFAULTS, **device_options(assembly.spec.run.device), enable_checkpointing=False
        )
        try:
            data = assembly.task.datamodule()
            fit(trainer, lambda: found.extend(trainer.test(module, datamodule=data, verbose=False)))
        except Exception as error:  # a user's module may have no test step, or the data no test part
            text = error.what if isinstance(error, NasplugError) else str(error)
            return None, " ".join(text.split()), None
    if not any(found):
        return None, "the module logs no metric in its test step", None
    return (
        {name: float(value) for part in found for name, value in part.items()},
        None,
        getattr(module, "confusion", None),
    )
