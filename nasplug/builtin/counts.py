"""The costs `params` and `macs`: counted, not measured."""

from __future__ import annotations

from nasplug.contract.hookspecs import hookimpl
from nasplug.cost.candidate import Candidate


class Params:
    """Number of parameters, shared ones once; the key is `params`."""

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        from nasplug.cost.counts import count_params

        return {"params": float(count_params(candidate.network))}


class Macs:
    """Multiply-accumulates of one inference on one input; the key is `macs`.

    Convolutions, linear layers, matrix products and attention count, biases, normalisation and activations do not.
    """

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        from nasplug.cost.counts import count_macs

        return {"macs": float(count_macs(candidate.network, candidate.known_inputs))}
