"""`nasplug retrain`: a found architecture is trained fully and tested once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from nasplug.cli import output
from nasplug.cli.loading import find_plugins, overridden, pick_trial, read_study, stored_spec
from nasplug.cli.parser import Parser, key_value, natural, positive
from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import JsonObject
from nasplug.ledger.artifacts import beside

if TYPE_CHECKING:
    from nasplug.contract.records import Scalar
    from nasplug.export.retrain import Retrained

SUMMARY = "Train a found network fully, and test it once."

RESULT = "retrain.json"


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug retrain`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument("--trial", metavar="N", type=natural, help="number of the trial; default: the recommended one")
    parser.add_argument(
        "--epochs", metavar="E", type=positive, help="number of epochs; default: ten times as many as in the search"
    )
    parser.add_argument("--seed", metavar="S", type=natural, default=0, help="seed of weights and batches; default: 0")
    parser.add_argument(
        "--hyperparameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=key_value,
        help="replace a hyperparameter of the trial, for example --hyperparameter optimizer=sgd; may be repeated",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one value of the study's specification, for example --set run.device=cuda; may be repeated",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="the folder to write; default: FILE without its ending, -retrain-N"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, as it is in retrain.json")


def run(arguments: argparse.Namespace) -> int:
    """Trains, tests, writes weights and `retrain.json`, prints the result."""
    study = read_study(arguments.file)
    path = Path(arguments.file)
    stored = stored_spec(path)
    catalog = find_plugins(arguments, more=stored.plugins).catalog
    trial = pick_trial(study, arguments.trial, arguments.file, catalog)
    out = Path(arguments.out) if arguments.out else beside(path, f"-retrain-{trial.number}")
    if (out / RESULT).exists():
        raise StorageError("this folder holds an earlier retraining", where=str(out), fix="give another one with --out")
    epochs = arguments.epochs or 10 * max(1, study.budget_of(trial).epochs)
    from nasplug.cli.progress import EpochDisplay
    from nasplug.export.retrain import retrain
    from nasplug.run.earlier import updated

    spec = overridden(updated(stored, catalog), arguments.set)
    with EpochDisplay(epochs) as display:
        done = retrain(
            spec,
            trial,
            catalog,
            out,
            epochs=epochs,
            seed=arguments.seed,
            hyperparameters=dict(arguments.hyperparameter),
            emit=display.measured,
        )
    result = result_json(done, arguments.file, out, label=study.label(trial))
    text = json.dumps(output.json_safe(result), indent=2, allow_nan=False)
    (out / RESULT).write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        output.print_json(result)
        return 0
    print(f"retrained: {output.titled(trial.number, result['label'])}")
    print(f"validation: {output.values(done.trial.metrics)}")
    print(f"test: {output.values(done.test)}" if done.test is not None else f"not tested: {done.untested}")
    print(f"written: {out} (weights, architecture, {RESULT}) after {output.duration(done.seconds)}")
    return 0


class Result(TypedDict):
    """What `retrain.json` holds.

    Attributes:
        study: Path of the study.
        trial: Number of the trial in it.
        label: Name of the architecture for people.
        architecture: Architecture as plain data.
        hyperparameters: Hyperparameters of the training.
        epochs: Length of the training.
        seed: Seed of the training.
        validation: Metrics on validation data.
        test: Metrics on test data, if there are any.
        untested: Reason why there are none.
        confusion: Counts of the test, row by true class and column by answered class.
        costs: Costs of the trained network.
        measurements: Metrics of every epoch.
        seconds: Wall time.
        weights: Path of the weights.
        versions: Version of everything that can change a result.
        machine: Hardware and operating system.
        baseline: Test accuracy of other methods, as `nasplug demo` adds it.
    """

    study: str
    trial: int
    label: str
    architecture: JsonObject
    hyperparameters: Mapping[str, Scalar]
    epochs: int | None
    seed: int
    validation: Mapping[str, float]
    test: Mapping[str, float] | None
    untested: str | None
    confusion: Sequence[Sequence[int]] | None
    costs: Mapping[str, float]
    measurements: Sequence[JsonObject]
    seconds: float
    weights: str
    versions: Mapping[str, str]
    machine: JsonObject
    baseline: NotRequired[Mapping[str, float]]


def result_json(done: Retrained, file: str, out: Path, *, label: str) -> Result:
    """What `retrain.json` holds.

    Args:
        done: The training and the test.
        file: Path of the study.
        out: Folder of the weights.
        label: Name of the architecture for people.
    """
    from nasplug.export.bundle import BUNDLE
    from nasplug.run.versions import machine, versions

    trial = done.trial
    return {
        "study": file,
        "trial": trial.number,
        "label": label,
        "architecture": trial.architecture.to_json(),
        "hyperparameters": dict(trial.hyperparameters),
        "epochs": trial.proposal.budget.epochs if trial.proposal.budget else None,
        "seed": trial.seed,
        "validation": dict(trial.metrics),
        "test": None if done.test is None else dict(done.test),
        "untested": done.untested,
        "confusion": done.confusion,
        "costs": dict(trial.costs),
        "measurements": [{"step": item.step, "metrics": dict(item.metrics)} for item in trial.measurements],
        "seconds": done.seconds,
        "weights": str(out / BUNDLE.weights),
        "versions": versions(),
        "machine": machine(),
    }
