"""What a plugin answers in a worker is looked at before it becomes part of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, SupportsIndex

from nasplug.contract.checks import check_json
from nasplug.contract.errors import PluginError
from nasplug.contract.records import Evaluation, Measurement

if TYPE_CHECKING:
    from pytorch_lightning import Callback


def check_measurement(measurement: object, where: str) -> Measurement:
    """Returns a measurement whose metrics are plain numbers.

    Args:
        measurement: Reported measurement; numbers of NumPy and torch are converted.
        where: Name of whoever reported it, for messages.

    Raises:
        PluginError: It is not a measurement, or a metric is not a number.
    """
    if not isinstance(measurement, Measurement):
        raise PluginError(
            "report takes a Measurement",
            where=where,
            why=f"got {measurement!r:.100}",
            fix="write run.report(nasplug.Measurement(step, metrics))",
        )
    step = measurement.step
    if type(step) is not int and not _is_index(step):
        raise PluginError(f"the step of a measurement is an integer, not {step!r:.100}", where=where)
    stage = _text(measurement.stage, "the stage of a measurement", where)
    return Measurement(step.__index__(), numbers(measurement.metrics, "the metrics of a measurement", where), stage)


def check_evaluation(evaluation: Evaluation, where: str) -> Evaluation:
    """Returns an evaluation of plain values.

    Args:
        evaluation: Evaluation that the evaluator returned.
        where: Name of the evaluator.

    Raises:
        PluginError: A value is of another type than the record says.
    """
    artifacts = evaluation.artifacts
    if type(artifacts) is not dict and not isinstance(artifacts, Mapping):
        raise PluginError(f"artifacts are a mapping, not {artifacts!r:.100}", where=where)
    for name, path in artifacts.items():
        _text(name, "the name of an artifact", where)
        _text(path, f"the path of the artifact {name!r}", where, fix="use run.artifact(path)")
    if evaluation.pruned is not None:
        _text(evaluation.pruned, "the reason for pruning", where)
    edits = evaluation.edits
    if not isinstance(edits, (tuple, list)) or not all(isinstance(edit, Mapping) for edit in edits):
        raise PluginError(f"edits are a sequence of mappings, not {edits!r:.100}", where=where)
    for edit in edits:
        check_json(dict(edit), "an edit", where)
    return Evaluation(
        numbers(evaluation.metrics, "metrics", where),
        tuple([check_measurement(item, where) for item in evaluation.measurements]),
        dict(artifacts),
        evaluation.network,
        evaluation.pruned,
        tuple(edits),
    )


def _is_index(step: object) -> bool:
    """Whether a number of another library is an integer; looking for methods takes long, most steps are `int`."""
    return not isinstance(step, bool) and isinstance(step, SupportsIndex) and not getattr(step, "shape", ())


def numbers(values: object, what: str, where: str) -> dict[str, float]:
    """Returns numbers by name as Python has them.

    Raises:
        PluginError: It is not a mapping of texts to numbers.
    """
    if type(values) is not dict and not isinstance(values, Mapping):
        raise PluginError(f"{what} are a mapping of names to numbers, not {values!r:.100}", where=where)
    found = {}
    for name, value in values.items():
        if type(name) is str and type(value) is float:  # nearly always; messages take longer than the check
            found[name] = value
            continue
        _text(name, f"a name in {what}", where)
        if isinstance(value, str):
            raise PluginError(f"{name!r} in {what} is the text {value!r:.100}, not a number", where=where)
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise PluginError(
                f"{name!r} in {what} is {value!r:.100}, not a number", where=where, why=str(error)
            ) from error
    return found


def check_reason(reason: object, where: str) -> str | None:
    """Returns the reason for stopping a training.

    Raises:
        PluginError: It is neither a text nor None.
    """
    return None if reason is None else _text(reason, "the answer", where, fix="return the reason as text, or None")


def check_callbacks(answers: list[object], where: str) -> list[Callback]:
    """Returns the Lightning callbacks in what plugins answered.

    Args:
        answers: Answer of every plugin.
        where: Names of the plugins.

    Raises:
        PluginError: An answer is not a sequence, or holds something other than callbacks.
    """
    found: list[Callback] = []
    for answer in answers:
        if answer is not None and not isinstance(answer, (list, tuple)):
            raise PluginError(f"answers {answer!r:.100}, not a list of callbacks", where=where)
        for callback in answer or ():
            if isinstance(callback, type) or not hasattr(callback, "on_train_start"):
                raise PluginError(f"answers {callback!r:.100}, which is not a Lightning callback", where=where)
            found.append(callback)
    return found


def _text(value: object, what: str, where: str, *, fix: str | None = None) -> str:
    if type(value) is not str:
        raise PluginError(f"{what} is {value!r:.100}, not a text", where=where, fix=fix)
    return value
