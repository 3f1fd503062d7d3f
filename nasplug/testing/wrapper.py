"""What every wrapper of built networks or of data must keep to."""

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

    def make_task(self) -> Any:
        """A task whose data it wraps, if it has the hook `configure_data`; its `datamodule()` is fresh."""
        return _Data(self.input_shape, self.outputs)

    def hooked(self, hook: str) -> list[Any]:
        """The wrapper's implementations of a hook."""
        return list(getattr(manager_of(self.make_wrapper(), "wrapper").hook, hook).get_hookimpls())

    def data(self, seed: int = 0) -> Any:
        """A wrapped data module, set up for training."""
        pytest.importorskip("torch", reason="data are loaded with torch")
        space, task = self.make_space(), self.make_task()
        ledger = Ledger.of(space, task=task)
        manager = Manager([("space", Base()), ("wrapper", self.make_wrapper())])
        trial = Trial(0, Proposal(space.sample(np.random.default_rng(seed))), seed=seed)
        data = TrialRun(trial, ledger.view, manager=manager).data()
        data.setup("fit")
        return data

    def test_it_is_a_wrapper(self) -> None:
        """It takes what the space or the task give, and the wrappers before it, and does not replace them."""
        implementations = [*self.hooked("build"), *self.hooked("configure_data")]
        others = [*self.hooked("inherit"), *self.hooked("edit")]
        assert implementations or others, "a wrapper has a hook `build`, `configure_data`, `inherit` or `edit`"
        assert all(implementation.wrapper for implementation in implementations), "write @hookimpl(wrapper=True)"

    def test_wrapped_data_are_repeatable(self) -> None:
        """The same trial trains on the same batches in the same order, and there are some."""
        if not self.hooked("configure_data"):
            pytest.skip("it wraps no data")
        import torch

        runs = []
        for _ in range(2):
            torch.manual_seed(0)
            runs.append([_flat(batch) for batch in self.data().train_dataloader()])
        assert runs[0], "the wrapped data have no training batch"
        assert len(runs[0]) == len(runs[1])
        for first, second in zip(*runs, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "two runs differ"

    def test_wrapped_networks_train(self) -> None:
        """The result takes the same inputs, gives the same number of outputs, and has gradients."""
        for seed in range(3):
            assert_trains(self.build(seed), self.input_shape, self.outputs)

    def test_wrapping_is_repeatable(self) -> None:
        """The same trial gives the same network."""
        assert fingerprint(self.build()) == fingerprint(self.build())


class _Data(Shapes):
    """Random images of two classes."""

    def datamodule(self) -> Any:
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        generator = torch.Generator().manual_seed(0)
        images = torch.randn(24, *self.input_shape, generator=generator)
        loader = DataLoader(TensorDataset(images, torch.arange(24) % 2), 4, shuffle=True)
        data = _lightning().LightningDataModule()
        data.train_dataloader = lambda: loader
        data.val_dataloader = lambda: loader
        return data


def _lightning() -> Any:
    return pytest.importorskip("pytorch_lightning", reason="data modules are Lightning's")


def _flat(batch: Any) -> list[Any]:
    """The tensors of a batch, in order."""
    import torch

    if isinstance(batch, torch.Tensor):
        return [batch]
    items = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (list, tuple)) else ()
    return [tensor for item in items for tensor in _flat(item)]
