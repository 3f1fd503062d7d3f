"""Sizes of a network that growth and pruning are bounded by."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.io import Inputs
from nasplug.contract.protocols import HardwareTarget
from nasplug.cost.candidate import Candidate
from nasplug.cost.counts import count_macs, count_params
from nasplug_cgap.growth.settings import Limits


class Sizes:
    """Measures networks, those without numbers too, in the units of limits.

    Args:
        reference: Network as it was handed over, which shares refer to.
        inputs: Inputs of it.
        target: Hardware target of the run, if there is one; its estimates can be limits.
    """

    def __init__(self, reference: nn.Module, inputs: Inputs, target: HardwareTarget | None = None) -> None:
        self._inputs, self._target = inputs, target
        self.reference_params = count_params(reference)

    def limits(self, stated: Limits, name: str, network: nn.Module) -> dict[str, float]:
        """Limits by the name of what they limit.

        Args:
            stated: A share of the reference's parameters, or limits by name.
            name: Name of the setting, for messages.
            network: Network to try them on.

        Raises:
            SpecError: Nothing measures one of them.
        """
        if not isinstance(stated, Mapping):
            return {"params": stated * self.reference_params}
        self.of(network, stated, name)
        return dict(stated)

    def of(self, network: nn.Module, names: Mapping[str, float], setting: str = "capacity") -> dict[str, float]:
        """Measures a network.

        Args:
            network: Network, on any device.
            names: Keys of the sizes to measure.
            setting: Setting that asks, for messages.

        Raises:
            SpecError: Nothing measures one of them.
        """
        known: dict[str, float] = {}
        if "params" in names:
            known["params"] = count_params(network)
        if "macs" in names:
            known["macs"] = count_macs(network, self._inputs)
        if names.keys() - known.keys() and self._target is not None:
            answer = self._target.estimate(Candidate(lambda: network, self._inputs))
            known |= {f"{self._target.name}/{key}": value for key, value in answer.items()} | dict(answer)
        for name in names:
            if name not in known:
                raise SpecError(
                    f"nothing measures {name!r}",
                    where=f"cgap, {setting}",
                    why=None if self._target is not None else "the run has no hardware target",
                    fix=did_you_mean(name, {"params", "macs", *known}),
                )
        return {name: known[name] for name in names}

    def within(self, network: nn.Module, limits: Mapping[str, float]) -> bool:
        """Whether a network keeps all limits."""
        return all(value <= limits[name] for name, value in self.of(network, limits).items())

    def train_flops(self, network: nn.Module) -> float:
        """Floating-point operations of one training step on one input: forward, and backward for inputs and weights."""
        return 6.0 * count_macs(network, self._inputs)
