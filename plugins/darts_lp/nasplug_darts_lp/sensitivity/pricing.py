"""What networks with bits of their own cost, and what each layer adds to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.io import inputs_of
from nasplug.cost.candidate import Candidate
from nasplug.workloads.workload import COMPUTE

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget, Task
    from nasplug.contract.records import Architecture
    from nasplug.workloads.workload import Workload
    from nasplug_darts_lp.sensitivity.capability import Pair

#: Costs that need no hardware target.
OWN = ("average_bits", "bit_operations")
_WHERE = "darts_lp.sensitivity"


def average_bits(workload: Workload) -> float:
    """Mean bits of all weights and of all inputs of layers for one sample."""
    rows = workload.mask(*COMPUTE)
    weights, inputs = workload.stored_weights[rows], workload.inputs[rows]
    total = (weights * workload.weight_bits[rows]).sum() + (inputs * workload.input_bits[rows]).sum()
    return float(total / (weights.sum() + inputs.sum()))


def bit_operations(workload: Workload) -> float:
    """Multiply-accumulates of one sample times both bit widths, over 64: one on 8x8 bits counts as one."""
    rows = workload.mask(*COMPUTE)
    return float((workload.macs[rows] * workload.weight_bits[rows] * workload.input_bits[rows]).sum() / 64)


class Pricer:
    """Prices networks of a space by one cost.

    Args:
        space: Space of the networks; with the capability `HasPrecisions`.
        task: Task of the run.
        target: Hardware target; its estimates are called `family/key`, such as `npu/energy_j`.
        name: Name of the cost.
    """

    def __init__(self, space: object, task: Task, target: HardwareTarget | None, name: str) -> None:
        self._space, self._task, self._target, self.name = space, task, target, name
        self._known: dict[str, float] = {}

    def __call__(self, architecture: Architecture) -> float:
        """Returns the cost of a network.

        Raises:
            SpecError: Nothing answers the cost.
        """
        if architecture.key not in self._known:
            self._known[architecture.key] = self._price(architecture)
        return self._known[architecture.key]

    def _price(self, architecture: Architecture) -> float:
        space = self._space
        candidate = Candidate(
            lambda: space.build(architecture, self._task).eval(),  # type: ignore[attr-defined]
            inputs_of(self._task),
            architecture=architecture,
            space=space,  # type: ignore[arg-type]
            task=self._task,
        )
        own: dict[str, Callable[[Workload], float]] = dict(zip(OWN, (average_bits, bit_operations), strict=True))
        if self.name in own:
            return own[self.name](candidate.workload)
        if self._target is None:
            raise SpecError(
                f"nothing answers {self.name!r}",
                where=_WHERE,
                why="the run has no hardware target",
                fix=f"add a target, or limit {' or '.join(OWN)}",
            )
        family = self._target.name.split(":")[0]
        found = {f"{family}/{key}": value for key, value in self._target.estimate(candidate).items()}
        if self.name not in found:
            raise SpecError(f"nothing answers {self.name!r}", where=_WHERE, fix=did_you_mean(self.name, found))
        return float(found[self.name])

    def shares(
        self, precisions: Mapping[str, Sequence[Pair]], assigned: Callable[[dict[str, Pair]], Architecture]
    ) -> tuple[float, list[list[float]]]:
        """Returns the cost of the network whose layers all have their first pair, and what each layer's pairs add.

        Whole networks are priced in which one layer is another: what a target makes of a layer among its neighbours is
        in the numbers, and only what two changes do together is not.

        Args:
            precisions: Pairs of every layer; the first is the cheapest.
            assigned: Function that returns the network with these bits.
        """
        least = {name: pairs[0] for name, pairs in precisions.items()}
        base = self(assigned(least))
        added = [
            [max(0.0, self(assigned({**least, name: pair})) - base) for pair in pairs]
            for name, pairs in precisions.items()
        ]
        return base, added
