"""The costs `params` and `macs`: counted, not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.cost.candidate import Candidate

if TYPE_CHECKING:
    from nasplug.cost.counts import Counts

_COUNTED: WeakKeyDictionary[Candidate, Counts] = WeakKeyDictionary()


def counts_of(candidate: Candidate) -> Counts:
    """Counts a candidate once, however many plugins ask.

    Raises:
        SpecError: Nobody says what the network's input looks like.
        TaskError: The network cannot take that input.
    """
    from nasplug.cost.counts import count

    if not candidate.input_shape:
        raise SpecError(
            "the shape of the network's input is not known", where="cost", fix="add a task, or give the input shape"
        )
    if candidate not in _COUNTED:
        _COUNTED[candidate] = count(candidate.network, candidate.input_shape)
    return _COUNTED[candidate]


class Params:
    """Number of parameters, shared ones once; the key is `params`."""

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        return {"params": float(counts_of(candidate).params)}


class Macs:
    """Multiply-accumulates of one inference on one input; the key is `macs`.

    Convolutions, linear layers, matrix products and attention count, biases, normalisation and activations do not.
    """

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        return {"macs": float(counts_of(candidate).macs)}
