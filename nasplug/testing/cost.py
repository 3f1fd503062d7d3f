"""What every cost must keep to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from nasplug.cost.candidate import Candidate
from nasplug.optional import available
from nasplug.testing.networks import fingerprint, seeded_build
from nasplug.testing.pricing import priced
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.synthetic import Shapes, SyntheticSpace, SyntheticTarget

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task


class CostConformance:
    """Subclass it, set `name`, give `make_cost`, and change what does not fit.

    Attributes:
        name: The registered name, under which its keys must be.
        measured: Whether it measures time or energy, so that two answers may differ.
        nonnegative: Whether its values are amounts.
    """

    name: ClassVar[str] = ""
    measured: ClassVar[bool] = False
    nonnegative: ClassVar[bool] = True

    def make_cost(self) -> Any:
        """A fresh cost, configured the same way every time."""
        raise NotImplementedError("give make_cost()")

    def make_target(self) -> HardwareTarget | None:
        """The hardware target of the run, for costs that ask it; may be None for the others."""
        return SyntheticTarget()

    def make_space(self) -> SearchSpace:
        """A space whose candidates it prices."""
        return SyntheticSpace()

    def make_task(self) -> Task:
        """Gives the shapes of the candidates."""
        return Shapes()

    def candidate(self, seed: int = 0) -> Candidate:
        """A random candidate with a network as a worker would build it."""
        space, task = self.make_space(), self.make_task()
        architecture = space.sample(np.random.default_rng(seed))
        return Candidate(
            lambda: seeded_build(space, architecture, task),
            task.input_shape,
            architecture=architecture,
            space=space,
            task=task,
            trained=bool(getattr(self.make_cost(), "needs_trained_weights", False)),
        )

    def price(self, candidate: Candidate) -> dict[str, float]:
        """What the cost answers; the run's own rules on namespaces and numbers apply."""
        return priced(self.make_cost(), self.name, candidate, self.make_target())

    def test_values_are_numbers_in_its_namespace(self) -> None:
        """Keys are `name` or `name/...`; values are finite, and amounts are not negative."""
        for seed in range(4):
            values = self.price(self.candidate(seed))
            assert values, "the cost answers nothing"
            for key, value in values.items():
                assert math.isfinite(value), f"{key} is {value}"
                assert value >= 0 or not self.nonnegative, f"{key} is {value}"

    def test_keys_do_not_depend_on_the_candidate(self) -> None:
        """Every candidate gets the same keys, so that every one can be compared and constrained."""
        assert len({tuple(sorted(self.price(self.candidate(seed)))) for seed in range(4)}) == 1

    def test_equal_candidates_cost_the_same(self) -> None:
        """Pricing is deterministic, for a fresh plugin and for one that has priced before."""
        if self.measured:
            pytest.skip("declared as measured")
        plugin, candidate = self.make_cost(), self.candidate()
        first = priced(plugin, self.name, candidate, self.make_target())
        priced(plugin, self.name, self.candidate(1), self.make_target())
        assert priced(plugin, self.name, candidate, self.make_target()) == first
        assert self.price(self.candidate()) == first

    def test_the_network_is_left_as_it_was(self) -> None:
        """The very same network is trained afterwards: no weight, mode, gradient or hook may change."""
        pytest.importorskip("torch", reason="networks are built with torch")
        candidate = self.candidate()
        before = fingerprint(candidate.network)
        self.price(candidate)
        assert fingerprint(candidate.network) == before

    def test_global_random_generators_are_left_alone(self) -> None:
        """Adding a cost must not change how the candidate trains."""
        candidate = self.candidate()
        if available("torch"):
            _ = candidate.network  # building draws weights, which is not what is tested
        with untouched_random_state("cost()"):
            self.price(candidate)
