"""`npu:...` as a hardware target, and its costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import HardwareTarget
from nasplug.cost.candidate import Candidate
from nasplug_npu.area_model import costs_of_area
from nasplug_npu.presets import split
from nasplug_npu.spaces import searched_unit
from nasplug_npu.unit import NPU


class NPUTarget:
    """One unit as a hardware target.

    Args:
        name: Full name, such as `npu:wu32,macs=64`.
        unit: The unit.
    """

    def __init__(self, name: str, unit: NPU) -> None:
        self.name, self.unit = name, unit
        config = unit.config
        self.capabilities: Mapping[str, Any] = {
            "measured": False,
            "config": config.to_json(),
            "unsupported": unit.unsupported,
        }

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """Latency, energy, memory and utilisation of the candidate's workload; keys carry their unit.

        Raises:
            TrialError: A layer that the unit cannot do, see `NPU`, or that does not fit its buffers.
        """
        return _costs(searched_unit(candidate) or self.unit, candidate)


def _costs(unit: NPU, candidate: Candidate) -> dict[str, float]:
    totals = unit.totals(candidate.workload)
    return totals | costs_of_area(unit.config, totals)


class NPUHardware:
    """Finds targets such as `npu:wu32` or `npu:wu32,macs=64,unsupported=cpu`.

    What follows the colon is a preset (`nasplug npu presets` lists them) or the path of a YAML file that describes a
    unit (`npu:units/second.yaml`, see `nasplug_npu.presets`), and changes of its fields. `unsupported` says what
    happens to layers that the unit cannot do: `error`, `cpu` or `zero`.

    Args:
        unsupported: The policy where the target's name states none.
    """

    family = "npu"
    variants = ("npu:wu32", "npu:wu32,macs=64,unsupported=cpu", "npu:systolic_16x16_ws", "npu:ethos_u55_128")

    def __init__(self, unsupported: str = "error") -> None:
        self._unsupported = unsupported

    @hookimpl
    def hardware_target(self, name: str) -> NPUTarget | None:
        """See the hook.

        Raises:
            SpecError: An unknown preset or field, or an impossible value.
        """
        family, _, variant = name.partition(":")
        if family != self.family:
            return None
        if not variant:
            raise SpecError(f"the target {name!r} names no unit", where="target", fix="write npu:wu32")
        stated = any(part.startswith("unsupported=") for part in split(variant))
        return NPUTarget(name, NPU(variant, "error" if stated else self._unsupported))


class NPUCost:
    """Costs on a unit, as `npu/latency_s`, `npu/energy_j` and so on.

    With the run's target `npu:...` it asks that one; otherwise give the unit here, so that a run can have another
    target as well. In the space `npu.with_unit` every network is priced on the unit it comes with.

    Args:
        unit: A preset with changes, such as `wu32,macs=64`; None means the run's target.
    """

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the cost with: it needs a unit where the run has none."""
        return [{"unit": "wu32,unsupported=zero"}]

    def __init__(self, unit: str | None = None) -> None:
        self._target = None if unit is None else NPUHardware().hardware_target(f"npu:{unit}")

    @hookimpl
    def cost(self, candidate: Candidate, target: HardwareTarget | None) -> dict[str, float]:
        """See the hook.

        Raises:
            SpecError: Neither this cost nor the run names a unit.
            TrialError: See `NPUTarget.estimate`.
        """
        searched = None if candidate is None else searched_unit(candidate)
        asked = self._target or target
        if searched is not None:
            costs = _costs(searched, candidate)
        elif isinstance(asked, NPUTarget):
            costs = asked.estimate(candidate)
        else:
            raise SpecError(
                "there is no unit to ask",
                where="costs: npu",
                fix="write `target: npu:wu32`, `npu: {unit: wu32}`, or search the space npu.with_unit",
            )
        return {f"npu/{key}": value for key, value in costs.items()}
