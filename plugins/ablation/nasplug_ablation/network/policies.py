"""How a module may leave a network: what its calls and its readers allow, in a fixed order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nasplug.contract.jsondata import Json
from nasplug_ablation.network.readers import Reader
from nasplug_ablation.network.trace import Call

#: Readers whose result a branch of zeros leaves as it is without the branch.
_ADDED: frozenset[Reader] = frozenset({"sum", "concatenation"})


class NoPolicy(Exception):
    """A module cannot be taken away in this manner; the text says why."""


def decide(policy: str, path: str, calls: Sequence[Call], readers: Collection[Reader]) -> tuple[str, dict[str, Json]]:
    """Returns the policy for a module, and what is put in its place.

    `auto` takes the first of: its input where the shape is the same (`identity`); zeros where only sums and
    concatenations read it (`zero`); ones where only products read it (`one`); its input in another shape, for which
    the layers behind it are made anew (`rewire`). An `adapter` has weights of its own, and is made on request only.

    Args:
        policy: Policy that is asked for.
        path: Path of the module.
        calls: Calls of the module in a step.
        readers: Readers of its output.

    Raises:
        NoPolicy: The module is never called, or the policy does not fit it.
    """
    if not calls:
        raise NoPolicy("it is not called in the step, so that nothing would change without it")
    first = calls[0]
    if first.output is None:
        raise NoPolicy("its output is not a tensor")
    if not first.inputs:
        raise NoPolicy("it is called without a tensor, so that nothing could take the place of its output")
    key = next(iter(first.inputs))
    alike = first.same if all(call.same == first.same for call in calls) else None
    if policy in ("auto", "identity") and alike is not None:
        return "identity", {"path": path, "put": "input", "key": alike, "others": first.others}
    if policy == "identity":
        raise NoPolicy(f"identity: it turns {_shown(first, key)}")
    if len({(call.inputs.get(key), call.output) for call in calls}) > 1:
        raise NoPolicy("it is called several times with different shapes")
    plain = first.others is None
    constant: dict[str, Json] = {
        "path": path,
        "put": "constant",
        "key": key,
        "entered": list(first.inputs[key]),
        "left": list(first.output),
    }
    if policy in ("zero", "one"):
        if not plain:
            raise NoPolicy(f"{policy}: it has several outputs")
        return policy, {**constant, "value": 0 if policy == "zero" else 1}
    if policy == "auto" and plain and readers and set(readers) <= _ADDED:
        return "zero", {**constant, "value": 0}
    if policy == "auto" and plain and set(readers) == {"product"}:
        return "one", {**constant, "value": 1}
    if policy == "adapter":
        return "adapter", {"path": path, "put": "adapter", "entered": constant["entered"], "left": constant["left"]}
    return "rewire", {"path": path, "put": "input", "key": key, "others": first.others}


def _shown(call: Call, key: int | str) -> str:
    return f"{_shape(call.inputs[key])} into {_shape(call.output or ())}"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape[1:])) or "a number"
