"""What every hardware target must keep to."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from nasplug.contract.errors import SpecError
from nasplug.cost.candidate import Candidate
from nasplug.testing.networks import fingerprint, seeded_build
from nasplug.testing.pricing import manager_of
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.synthetic import Shapes, SyntheticSpace

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task


class TargetConformance:
    """Subclass it, set `names`, give `make_target`, and change what does not fit.

    Attributes:
        names: Full names that the plugin must know, e.g. `("npu:wu32", "npu:wu64")`.

    A target whose `capabilities` say `"measured": True` may answer differently when asked again. Names of hardware that
    this machine does not have are skipped.
    """

    names: ClassVar[tuple[str, ...]] = ()

    def make_target(self) -> HardwareTarget | None:
        """A fresh plugin that answers `hardware_target`."""
        raise NotImplementedError("give make_target()")

    def make_space(self) -> SearchSpace:
        """A space whose candidates it estimates."""
        return SyntheticSpace()

    def make_task(self) -> Task:
        """Gives the shapes of the candidates."""
        return Shapes()

    def find(self, name: str) -> Any:
        """What the plugin answers for a name; skips the test if it says that the hardware is not here."""
        try:
            return manager_of(self.make_target(), "target").hook.hardware_target(name=name)
        except SpecError as error:
            pytest.skip(f"{name}: {error.what}")

    def candidate(self, seed: int = 0) -> Candidate:
        """A random candidate."""
        space, task = self.make_space(), self.make_task()
        architecture = space.sample(np.random.default_rng(seed))
        return Candidate(
            lambda: seeded_build(space, architecture, task),
            task.input_shape,
            architecture=architecture,
            space=space,
            task=task,
        )

    def test_it_knows_its_names(self) -> None:
        """Every name gives a target of exactly that name, whose capabilities are plain data."""
        assert self.names, "set `names`"
        for name in self.names:
            target = self.find(name)
            assert target is not None, f"{name!r} is not known"
            assert target.name == name
            json.dumps(dict(target.capabilities))

    def test_it_leaves_other_names_alone(self) -> None:
        """None for a name of somebody else, so that another plugin can answer."""
        assert self.find("nobody_has_this:name") is None

    def test_estimates_are_finite_amounts(self) -> None:
        """Numbers with stable keys, finite and not negative, and the same ones when asked again."""
        pytest.importorskip("torch", reason="networks are built with torch")
        for name in self.names:
            target = self.find(name)
            tables = [dict(target.estimate(self.candidate(seed))) for seed in range(3)]
            assert tables[0]
            assert len({tuple(sorted(table)) for table in tables}) == 1, "the keys depend on the candidate"
            for key, value in ((key, value) for table in tables for key, value in table.items()):
                assert "/" not in key, f"{key}: the run adds the namespace"
                assert math.isfinite(value), f"{key} is {value}"
                assert value >= 0, f"{key} is {value}"
            if not target.capabilities.get("measured", False):
                assert dict(self.find(name).estimate(self.candidate(0))) == tables[0]

    def test_the_network_is_left_as_it_was(self) -> None:
        """The very same network is trained afterwards, from the same random numbers."""
        pytest.importorskip("torch", reason="networks are built with torch")
        for name in self.names:
            candidate = self.candidate()
            before = fingerprint(candidate.network)
            with untouched_random_state("estimate()"):
                self.find(name).estimate(candidate)
            assert fingerprint(candidate.network) == before
