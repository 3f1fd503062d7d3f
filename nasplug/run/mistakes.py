"""What a rehearsal says: the one message for a mistake that would meet every trial."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, TaskError, TrialError, did_you_mean
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.contract.io import Inputs, TensorSpec
    from nasplug.run.assemble import Assembly

_SKIP = "run.rehearse: false (rehearse=False in Python) skips the rehearsal"
#: Number of characters of somebody else's message that are shown.
_LONG = 500
#: Files whose lines are not the user's own.
_FOREIGN = r"site-packages|dist-packages|nasplug[/\\](?!_template)|<frozen|[/\\]lib[/\\]python"


def check_names(
    assembly: Assembly, metrics: Mapping[str, float], costs: Mapping[str, float], hints: Sequence[str] = ()
) -> None:
    """Refuses objectives and constraints that nothing answers.

    Args:
        assembly: Configured plugins.
        metrics: Metrics that the training logged.
        costs: Costs that the plugins answered.
        hints: Sentences about what the evaluator noticed, which may be the reason.

    Raises:
        TaskError: A name is not among them.
    """
    spec = assembly.spec
    named = [(item.name, "an objective") for item in spec.objectives]
    named += [(item.name, "a constraint") for item in spec.constraints]
    for name, what in named:
        if name not in metrics and name not in costs:
            raise _not_logged(name, what, metrics, costs, hints)


def _not_logged(
    name: str, what: str, metrics: Mapping[str, float], costs: Mapping[str, float], hints: Sequence[str]
) -> TaskError:
    parts = [other for other in metrics if other.startswith(f"{name}/dataloader_idx_")]
    if parts:
        why = f"there are {len(parts)} validation loaders, and Lightning logs {', '.join(map(repr, parts))}"
        fix = f"name one of these, or use self.log({name!r}, value, add_dataloader_idx=False) for one loader"
    else:
        why = f"it logs {', '.join(sorted(metrics)) or 'no metric at all'}"
        why += f"; the costs are {', '.join(sorted(costs))}" if costs else ""
        why = "; ".join([*hints, why])
        near = did_you_mean(name, [*metrics, *costs]).partition("known:")[0].replace("none are known", "")
        fix = f"{near}Log it in validation_step with self.log({name!r}, value), or name another metric"
    if not parts:
        fix += f". If it is logged in later epochs only: {_SKIP}"
    return TaskError(f"the module does not log {name!r}, which is {what}", where="objectives", why=why, fix=fix)


def mistake(assembly: Assembly, errors: Sequence[Exception]) -> NasplugError:
    """Returns the one error for what all networks met.

    Args:
        assembly: Configured plugins.
        errors: Error of each network.
    """
    error, count = errors[0], plural(len(errors), "network")
    if isinstance(error, NasplugError) and not isinstance(error, TrialError):
        return error
    found = assembly.manager.blame(error)
    where = "rehearsal" if found is None else f"rehearsal, {found[0]}, hook {found[1]}"
    text = error.what if isinstance(error, NasplugError) else f"{type(error).__name__}: {error}"
    text = text if len(text) <= _LONG else f"{text[:_LONG]}..."  # a message may hold a whole tensor
    why = f"{error.why}; " if isinstance(error, NasplugError) and error.why else ""
    fix = error.fix if isinstance(error, NasplugError) and error.fix else None
    return TaskError(
        text,
        where=where,
        why=f"{why}it met each of {count} that were tried for one batch{_place(error)}, so it would meet every trial",
        fix=f"{fix or _advice(error)}. No trial was spent; {_SKIP}",
    )


def _place(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not re.search(_FOREIGN, f.filename)]
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line})" if frames else ""


def _advice(error: Exception) -> str:
    lines = [frame.line or "" for frame in traceback.extract_tb(error.__traceback__)]
    used = isinstance(error, AttributeError) and "NoneType" in str(error) and any(".logger" in line for line in lines)
    if used or "has no logger" in str(error):  # as callbacks say that read it
        return (
            "trials have no logger unless the evaluator gets one: evaluator: {lightning: {loggers: [csv]}}; "
            "or use self.logger, and callbacks that need one, only if it is there"
        )
    return "fix the module, the data or the space"


def reason_of(error: BaseException) -> str:
    """Returns what an error says without its numbers: what two networks of other sizes have in common."""
    return re.sub(r"\d+", "#", f"{type(error).__name__}: {error}")


def with_inputs(error: Exception, inputs: Inputs | None, problem: str | None = None) -> Exception:
    """Returns the error of a cost with what the training calls the network with, which the task may not know.

    Args:
        error: Error that the cost raised.
        inputs: Inputs of the training, None if they cannot be said.
        problem: Reason why they cannot be said.
    """
    if not isinstance(error, NasplugError) or (inputs is None and problem is None):
        return error
    if inputs is None:
        return TaskError(
            error.what,
            where=error.where,
            why="; ".join(filter(None, [error.why, problem])),
            fix="let `forward` take tensors by position or by name, such as network(**batch), or leave out the costs "
            "that call the network",
        )
    return TaskError(
        error.what,
        where=error.where,
        why=error.why,
        fix=f"the module calls the network with {inputs}; say so to the task with inputs={_shown(inputs)}",
    )


def _shown(inputs: Inputs) -> str:
    """The inputs as one would write them."""
    named = {name: _spec(spec) for name, spec in inputs.kwargs.items()}
    args = [_spec(spec) for spec in inputs.args]
    return repr({"args": args, "kwargs": named} if args and named else named or (args[0] if len(args) == 1 else args))


def _spec(spec: TensorSpec) -> Any:
    shape = list(spec.shape)
    if spec.dtype == "float32":
        return shape
    high = {"high": spec.high} if spec.high > 2 else {}
    return {"shape": shape, "dtype": spec.dtype, **high}
