"""What every wrapper of built networks must keep to."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from nasplug.contract.records import Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.plugins.manager import Manager
from nasplug.run.base import Base
from nasplug.testing.networks import assert_trains, fingerprint
from nasplug.testing.pricing import manager_of
from nasplug.testing.synthetic import Shapes, SyntheticSpace


class WrapperConformance:
    """Subclass it, give :meth:`make_wrapper`, and change what does not fit.

    Attributes:
        input_shape: Of the networks it is tried on.
        outputs: Of the networks it is tried on.
    """

    input_shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    outputs: ClassVar[int] = 10

    def make_wrapper(self) -> Any:
        """A fresh plugin with `@hookimpl(wrapper=True) def build(...)`."""
        raise NotImplementedError("give make_wrapper()")

    def make_space(self) -> Any:
        """A space whose networks it wraps."""
        return SyntheticSpace()

    def build(self, seed: int = 0) -> Any:
        """A wrapped network, built as a worker does."""
        pytest.importorskip("torch", reason="networks are built with torch")
        space = self.make_space()
        ledger = Ledger.of(space, task=Shapes(self.input_shape, self.outputs))
        manager = Manager([("space", Base()), ("wrapper", self.make_wrapper())])
        trial = Trial(0, Proposal(space.sample(np.random.default_rng(seed))), seed=seed)
        return TrialRun(trial, ledger.view, manager=manager).network

    def test_it_is_a_wrapper(self) -> None:
        """It takes the network of the space and of the wrappers before it, and does not replace them."""
        implementations = manager_of(self.make_wrapper(), "wrapper").hook.build.get_hookimpls()
        assert implementations, "a wrapper has a `build` hook"
        assert all(implementation.wrapper for implementation in implementations), "write @hookimpl(wrapper=True)"

    def test_wrapped_networks_train(self) -> None:
        """The result takes the same inputs, gives the same number of outputs, and has gradients."""
        for seed in range(3):
            assert_trains(self.build(seed), self.input_shape, self.outputs)

    def test_wrapping_is_repeatable(self) -> None:
        """The same trial gives the same network."""
        assert fingerprint(self.build()) == fingerprint(self.build())
