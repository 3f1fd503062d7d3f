"""The model as an evaluator: what units of the space `npu.unit` take for given networks, without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Evaluation
from nasplug.evaluate.trialrun import TrialRun
from nasplug.workloads.workload import Workload
from nasplug_npu.area_model import costs_of_area
from nasplug_npu.exploration import COMBINATIONS
from nasplug_npu.models import read_workload
from nasplug_npu.spaces import HasUnit, UnitSpace

#: What may be changed of every network.
CHANGES = ("weight_bits", "input_bits", "output_bits", "weight_density", "input_density")


class UnitEvaluator:
    """Answers a trial of `npu.unit` with the costs of one or several networks on its unit.

    Metrics are `latency_s`, the objective unless others are named, `energy_j`, `area_mm2`, `power_w`, `utilisation`,
    `traffic_bytes` and `unpriced_layers`.

    Args:
        networks: One network or several: names, files, or models, as for `nasplug npu estimate`. A study's trial is not
            one.
        input: Shape of one input, for models that do not say it.
        combine: Latency, energy and traffic of several networks: their `sum`, or the `worst`.
        changes: Bits and densities of all layers, such as `weight_density: 0.5`.

    Raises:
        SpecError: A network that is unknown, or a change that is not one.
        DataError: A file that cannot be read.
    """

    objectives: ClassVar[Mapping[str, str]] = {"latency_s": "min", "energy_j": "min", "area_mm2": "min"}

    def __init__(
        self,
        networks: str | Sequence[str],
        input: Sequence[int] | None = None,
        combine: str = "sum",
        changes: Mapping[str, float] | None = None,
    ) -> None:
        if combine not in COMBINATIONS:
            raise SpecError(
                f"cannot combine by {combine!r}", where="evaluator npu", fix=did_you_mean(combine, COMBINATIONS)
            )
        for name in changes or {}:
            if name not in CHANGES:
                raise SpecError(f"cannot change {name!r}", where="evaluator npu", fix=did_you_mean(name, CHANGES))
        names = [networks] if isinstance(networks, str) else list(networks)
        if not names:
            raise SpecError("there is no network", where="evaluator npu", fix="write networks: [resnet8]")
        self._combine = combine
        self._workloads = [_read(name, input).replace(**dict(changes or {})) for name in names]

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tests it with."""
        return [{"networks": "ds_cnn"}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, object]:
        """What `nasplug test-plugin` tests it on."""
        from nasplug.testing import Shapes

        return {"make_space": lambda self: UnitSpace(), "make_task": lambda self: Shapes()}

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """See the hook.

        Raises:
            SpecError: The space has no units.
            TrialError: Fields that do not go together, or a layer that the unit cannot do or hold.
        """
        space = run.space
        if not isinstance(space, HasUnit):
            _ = run.network  # what cannot be built fails alone, with its own reason
            raise SpecError(
                f"the space {space.name!r} has no units", where="evaluator npu", fix="use the space npu.unit"
            )
        unit = space.unit(run.trial.architecture)
        costs = [unit.totals(workload) for workload in self._workloads]
        added = sum if self._combine == "sum" else max
        metrics = {key: float(added(each[key] for each in costs)) for key in ("latency_s", "energy_j", "traffic_bytes")}
        metrics |= {key: float(max(each[key] for each in costs)) for key in ("power_w", "unpriced_layers")}
        metrics["utilisation"] = float(min(each["utilisation"] for each in costs))
        area = costs_of_area(unit.config, costs[0])
        if area:
            metrics["area_mm2"] = float(area["area_mm2"])
        return Evaluation(metrics)


def _read(name: str, shape: Sequence[int] | None) -> Workload:
    import argparse

    if "#" in name:
        raise SpecError(f"{name!r} is a trial of a study", where="evaluator npu", fix="store its workload as a file")
    return read_workload(name, None if shape is None else tuple(shape), argparse.Namespace(plugin=[]))
