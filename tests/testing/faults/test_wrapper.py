"""Faults that the suite for wrappers finds."""

from __future__ import annotations

import itertools

import pytest

import nasplug as nas
from nasplug.builtin.overlap import Overlap
from nasplug.testing import WrapperConformance
from tests.testing.faults import WRONG


class Normalised:
    """Healthy: normalises the outputs."""

    @nas.hookimpl(wrapper=True)
    def build(self):
        network = yield
        from torch import nn

        return nn.Sequential(network, nn.BatchNorm1d(10))


class TestHealthyWrapper(WrapperConformance):
    def make_wrapper(self):
        return Normalised()


class Replacing:
    @nas.hookimpl
    def build(self):
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


def test_wrappers():
    suite = type("Suite", (WrapperConformance,), {"make_wrapper": lambda self: Replacing()})()
    with pytest.raises(AssertionError, match="wrapper=True"):
        suite.test_it_is_a_wrapper()


# -- data ----------------------------------------------------------------------------------------------------------


class Fewer:
    """Healthy: some of the batches, in data of its own."""

    def count(self):
        return 3

    @nas.hookimpl(wrapper=True)
    def configure_data(self):
        data = yield
        loader, count = data.train_dataloader(), self.count()
        data.train_dataloader = lambda: list(itertools.islice(loader, count))
        return data


class TestHealthyData(WrapperConformance):
    def make_wrapper(self):
        return Fewer()


class Whimsical(Fewer):
    """Other batches every time."""

    count = itertools.count(2).__next__


class Emptying(Fewer):
    def count(self):
        return 0


class Hoarding:
    """One object for all trials."""

    kept = None

    @nas.hookimpl(wrapper=True)
    def configure_data(self):
        data = yield
        Hoarding.kept = Hoarding.kept or data
        return Hoarding.kept


class Substituting:
    @nas.hookimpl
    def configure_data(self, run):
        return run.task.datamodule()


# -- weights -------------------------------------------------------------------------------------------------------


class TestHealthyInherit(WrapperConformance):
    def make_wrapper(self):
        return Overlap()


class Refusing:
    @nas.hookimpl
    def inherit(self, run, network, weights):
        return None


class Pretending:
    @nas.hookimpl
    def inherit(self, run, network, weights):
        return True


class Changing(Overlap):
    """Says that it took nothing."""

    @nas.hookimpl
    def inherit(self, run, network, weights):
        super().inherit(run, network, weights)


class Scaling(Overlap):
    """Works on what it was given."""

    @nas.hookimpl
    def inherit(self, run, network, weights):
        for tensor in weights.values():
            tensor.mul_(0.5)
        return super().inherit(run, network, weights)


class Noisy(Overlap):
    """Draws from the generator of everybody."""

    @nas.hookimpl
    def inherit(self, run, network, weights):
        import torch

        return super().inherit(run, network, {name: t + torch.randn(()) for name, t in weights.items()})


class Growing(Overlap):
    """Adds a layer without a word."""

    @nas.hookimpl
    def inherit(self, run, network, weights):
        from torch import nn

        network.append(nn.Identity()).append(nn.PReLU())
        return super().inherit(run, network, weights)


# -- edits ---------------------------------------------------------------------------------------------------------


class Deepens:
    """Healthy: repeats that layers were added."""

    record = {"by": "deepens", "layers": 2}  # noqa: RUF012

    def layers(self, edit):
        return edit["layers"]

    @nas.hookimpl
    def edit(self, network, edit):
        from torch import nn

        if edit.get("by") != "deepens":
            return None
        for _ in range(self.layers(edit)):
            network.append(nn.Linear(10, 10))
        return network


class DeepensConformance(WrapperConformance):
    def make_edits(self):
        return [self.make_wrapper().record]


class TestHealthyEdit(DeepensConformance):
    def make_wrapper(self):
        return Deepens()


class Guesses(Deepens):
    """Its record does not say how much."""

    record = {"by": "deepens"}  # noqa: RUF012
    calls = 0

    def layers(self, edit):
        Guesses.calls += 1
        return 1 + Guesses.calls % 2


class Unsaid(Deepens):
    """Its record does not survive JSON."""

    record = {"by": "deepens", "layers": (2,)}  # noqa: RUF012

    def layers(self, edit):
        return edit["layers"][0]


class Idle(Deepens):
    def layers(self, edit):
        return 0


class Greedy(Deepens):
    """Takes every record for its own."""

    @nas.hookimpl
    def edit(self, network, edit):
        return super().edit(network, self.record)


@pytest.mark.parametrize(
    ("wrapper", "test"),
    [
        (Whimsical, "test_wrapped_data_are_repeatable"),
        (Emptying, "test_wrapped_data_are_repeatable"),
        (Hoarding, "test_wrapped_data_are_repeatable"),
        (Substituting, "test_it_is_a_wrapper"),
        (Refusing, "test_inherit_maps_or_refuses"),
        (Pretending, "test_inherit_maps_or_refuses"),
        (Changing, "test_inherit_maps_or_refuses"),
        (Scaling, "test_inherit_maps_or_refuses"),
        (Noisy, "test_inherit_maps_or_refuses"),
        (Growing, "test_inherit_maps_or_refuses"),
        (Guesses, "test_edits_are_repeatable"),
        (Unsaid, "test_edits_are_repeatable"),
        (Idle, "test_edits_are_repeatable"),
        (Greedy, "test_edits_of_others_are_left_alone"),
        (object, "test_it_is_a_wrapper"),
    ],
)
def test_wrappers_of_everything_else(wrapper, test):
    suite = type("Suite", (DeepensConformance,), {"make_wrapper": lambda self: wrapper()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()
