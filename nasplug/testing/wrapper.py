"""What every wrapper of networks, data, weights or edits must keep to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Architecture, Inherit, Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.plugins.manager import Manager, hooks_of
from nasplug.run.base import Base
from nasplug.run.seeding import seed_everything
from nasplug.testing.networks import assert_trains, fingerprint
from nasplug.testing.pricing import manager_of
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.synthetic import Shapes, SyntheticSpace

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule

    from nasplug.contract.protocols import SearchSpace, Task


#: Hooks of which a wrapper has at least one.
HOOKS = ("build", "configure_data", "inherit", "edit")


class WrapperConformance:
    """Subclass it, give `make_wrapper`, and change what does not fit.

    Tests of hooks that the wrapper does not have are skipped.

    Attributes:
        input_shape: Input shape of the networks that it is tried on.
        outputs: Number of outputs of the networks that it is tried on.
    """

    input_shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    outputs: ClassVar[int] = 10

    def make_wrapper(self) -> Any:
        """Returns a fresh plugin with one of the hooks `build`, `configure_data`, `inherit` and `edit`."""
        raise NotImplementedError("give make_wrapper()")

    def make_space(self) -> SearchSpace:
        """Returns a space whose networks it wraps."""
        return SyntheticSpace()

    def make_task(self) -> Task:
        """Returns a task whose data it wraps, if it has the hook `configure_data`; its `datamodule()` is fresh."""
        return _Data(self.input_shape, self.outputs)

    def make_edits(self) -> Sequence[JsonObject]:
        """Returns records that its `edit` hook repeats on networks of the space."""
        return ()

    def run(self, seed: int = 0, *, task: Any = None, architecture: Architecture | None = None) -> TrialRun:
        """Returns a trial as a worker has it, with a random architecture."""
        space = self.make_space()
        ledger = Ledger.of(space, task=task or Shapes(self.input_shape, self.outputs))
        manager = Manager([("space", Base()), ("wrapper", self.make_wrapper())])
        architecture = architecture or space.sample(np.random.default_rng(seed))
        return TrialRun(Trial(0, Proposal(architecture), seed=seed), ledger.view, manager=manager)

    def build(self, seed: int = 0) -> Any:
        """Returns a wrapped network, built as a worker does."""
        pytest.importorskip("torch", reason="networks are built with torch")
        return self.run(seed).network

    def test_it_is_a_wrapper(self) -> None:
        """It takes the network, or the data, of those before it, and does not replace them."""
        plugin = self.make_wrapper()
        assert hooks_of(plugin) & set(HOOKS), f"a wrapper has one of the hooks {', '.join(HOOKS)}"
        hooks = manager_of(plugin, "wrapper").hook
        for name in ("build", "configure_data"):
            implementations = getattr(hooks, name).get_hookimpls()
            assert all(implementation.wrapper for implementation in implementations), "write @hookimpl(wrapper=True)"

    def test_wrapped_networks_train(self) -> None:
        """The result takes the same inputs, gives the same number of outputs, and has gradients."""
        self._needs("build")
        for seed in range(3):
            assert_trains(self.build(seed), self.input_shape, self.outputs)

    def test_wrapping_is_repeatable(self) -> None:
        """The same trial gives the same network."""
        assert fingerprint(self.build()) == fingerprint(self.build())

    # -- data ----------------------------------------------------------------------------------------------------

    def test_wrapped_data_are_repeatable(self) -> None:
        """The same trial gives the same batches, in fresh data every time; the data of the task stay as they are."""
        self._needs("configure_data")
        pytest.importorskip("pytorch_lightning", reason="data modules are Lightning's")
        task = self.make_task()
        plain = _batches(task.datamodule(), 0)
        first, second = self.run(task=task).data(), self.run(task=task).data()
        assert first is not second, "configure_data gives fresh data to every trial"
        assert _batches(first, 0), "the wrapped data have no batch to train on"
        assert _batches(first, 0) == _batches(second, 0)
        assert _batches(task.datamodule(), 0) == plain, "configure_data changes the task's own data"

    # -- weights -------------------------------------------------------------------------------------------------

    def test_inherit_maps_or_refuses(self) -> None:
        """Weights of any architecture are taken, with True, or left to others, with None and an untouched network."""
        self._needs("inherit")
        torch = pytest.importorskip("torch", reason="networks are built with torch")
        from nasplug.evaluate.structure import differences, structure

        taken = 0
        for seed in range(6):
            parent, child = self.run(seed), self.run(seed + 1 if seed % 3 else seed)
            seed_everything(seed)
            weights = {
                name: torch.randn_like(t) for name, t in parent.network.state_dict().items() if t.is_floating_point()
            }
            given = {name: tensor.clone() for name, tensor in weights.items()}
            child.trial = child.trial.with_(proposal=Proposal(child.trial.architecture, inherits=Inherit(7, "weights")))
            child.parent = parent.trial.with_(number=7, state="complete")
            network = child.network
            before, shapes = fingerprint(network), structure(network)
            with untouched_random_state("inherit()"):
                answer = manager_of(self.make_wrapper(), "wrapper").hook.inherit(
                    run=child, network=network, weights=weights
                )
            assert answer in (True, None), f"inherit() answers True or None, not {answer!r}"
            assert all(torch.equal(weights[name], given[name]) for name in given), "inherit() changes what it is given"
            if not answer:
                assert fingerprint(network) == before, "inherit() answers None and has changed the network"
                continue
            taken += 1
            assert fingerprint(network) != before, "inherit() answers True and has taken nothing"
            assert child.edits or not differences(shapes, structure(network)), (
                "the structure changed; say run.edit(...)"
            )
            assert_trains(network, self.input_shape, self.outputs)
        assert taken, "inherit() takes no weights, not even those of the same architecture"

    # -- edits ---------------------------------------------------------------------------------------------------

    def test_edits_are_repeatable(self) -> None:
        """A record gives the same structure on every network built anew; it survives JSON."""
        self._needs("edit")
        records = list(self.make_edits())
        if not records:
            pytest.skip("give make_edits(), with records that the hook `edit` repeats")
        from nasplug.evaluate.structure import differences, structure

        edit = manager_of(self.make_wrapper(), "wrapper").hook.edit
        for record in records:
            same = json.loads(json.dumps(dict(record)))
            assert same == dict(record), f"the record {record!r} is not JSON data"
            built = structure(self.build())
            once, twice = edit(network=self.build(), edit=record), edit(network=self.build(), edit=same)
            assert once is not None, f"edit() does not know its own record {record!r}"
            assert not differences(structure(once), structure(twice)), f"{record!r} leads to different structures"
            assert differences(built, structure(once)), f"{record!r} changes nothing"
            assert_trains(once, self.input_shape, self.outputs)

    def test_edits_of_others_are_left_alone(self) -> None:
        """None for a record of another plugin, and an untouched network."""
        self._needs("edit")
        network = self.build()
        before = fingerprint(network)
        record = {"by": "a plugin that nobody has", "what": "nothing"}
        assert manager_of(self.make_wrapper(), "wrapper").hook.edit(network=network, edit=record) is None
        assert fingerprint(network) == before

    def _needs(self, hook: str) -> None:
        if hook not in hooks_of(self.make_wrapper()):
            pytest.skip(f"has no hook `{hook}`")


def _batches(data: Any, seed: int) -> list[str]:
    """Digests of the batches for training."""
    import hashlib

    data.prepare_data()
    data.setup("fit")
    seed_everything(seed)
    return [
        hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in _flat(batch))).hexdigest()
        for batch in data.train_dataloader()
    ]


class _Data(Shapes):
    """Random images of two classes."""

    def datamodule(self) -> LightningDataModule:
        """Returns a fresh data module."""
        lightning = pytest.importorskip("pytorch_lightning", reason="data modules are Lightning's")
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        generator = torch.Generator().manual_seed(0)
        images = torch.randn(24, *self.input_shape, generator=generator)
        loader = DataLoader(TensorDataset(images, torch.arange(24) % 2), 4, shuffle=True)
        data: LightningDataModule = lightning.LightningDataModule()
        data.train_dataloader = lambda: loader  # type: ignore[method-assign]
        data.val_dataloader = lambda: loader  # type: ignore[method-assign]
        return data


def _flat(batch: Any) -> list[Any]:
    """The tensors of a batch, in order."""
    import torch

    if isinstance(batch, torch.Tensor):
        return [batch]
    items = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (list, tuple)) else ()
    return [tensor for item in items for tensor in _flat(item)]
