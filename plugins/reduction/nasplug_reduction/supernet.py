"""Work that trains one network of shared weights, from which every smaller one can be cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Architecture
from nasplug.evaluate.telling import Telling
from nasplug.evaluate.weights import read_tensors, save_weights
from nasplug.surgery.state import state_of
from nasplug_reduction.decisions import OPERATOR
from nasplug_reduction.extra_loss import Call, ExtraLoss, difference
from nasplug_reduction.inheritance import inherit
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.substitution import translated

if TYPE_CHECKING:
    from pathlib import Path

    from nasplug.evaluate.workrun import WorkRun
    from nasplug_reduction.space import ReductionSpace

#: File of the trained weights in the folder of the work.
FILE = "weights.safetensors"


def train(run: WorkRun, epochs: int, samples: int = 2, pool: int = 16) -> dict[str, Json]:
    """Trains the original network and its parts together, from the trained weights.

    Every step trains the whole network by the module's own loss, and the smallest one and some at random by the answers
    of the whole: the sandwich rule with in-place distillation. Kernels are shared by their centres; separable pairs are
    made of the trained weights afterwards. Sources: Yu and Huang, "Universally Slimmable Networks",
    ICCV 2019, arXiv 1903.05134; Yu et al., BigNAS, ECCV 2020, arXiv 2003.11142.

    Args:
        run: The work.
        epochs: Number of epochs.
        samples: Number of random networks in every step, beside the largest and the smallest.
        pool: Number of networks that the random ones are drawn from in one epoch.

    Returns:
        The name of the file of weights.
    """
    from nasplug.evaluate.trainer import DEFAULTS, as_callback, device_options, quiet
    from nasplug.lightning.distribution import data_for, lightning_of
    from nasplug.run.seeding import seed_everything

    if run.task is None:
        raise SpecError("a network of shared weights is trained on a task", where="reduction", fix="add `task:`")
    space = reduction_of(run.space)
    torch.set_num_threads(run.threads)
    seed_everything(run.seed("supernet"))
    network = space.build(space.full)
    module = run.task.module(network, {})
    lightning = lightning_of(module)
    shared = Shared(network, space, run.rng("supernet"), samples, pool)
    parts = [
        as_callback(ExtraLoss, lightning)(network, shared.loss, (samples + 1) / (samples + 2)),
        as_callback(Telling, lightning)(run, epochs),
    ]
    with quiet():
        trainer = lightning.Trainer(
            **{**DEFAULTS, **device_options(run.device), "num_sanity_val_steps": 0, "limit_val_batches": 0},
            max_epochs=epochs,
            callbacks=parts,
            default_root_dir=run.folder,
            enable_checkpointing=False,
        )
        trainer.fit(module, datamodule=data_for(run.data(), module, lightning))
    save_weights(network.cpu(), run.folder / FILE)
    return {"file": FILE}


class Shared:
    """Smaller networks that compute with the weights of the whole one.

    Args:
        network: The whole network.
        space: Space of the networks.
        rng: Random stream of the draws.
        samples: Number of random networks in a step.
        pool: Number of networks that are ready at a time.
    """

    def __init__(self, network: nn.Module, space: ReductionSpace, rng: Any, samples: int, pool: int) -> None:
        self._network, self._space, self._rng, self._samples, self._size = network, space, rng, samples, pool
        self._smallest = self._part(space.smallest)
        self._pool: list[Part] = []
        self._steps = 0

    def loss(self, call: Call) -> Tensor:
        """Mean difference of the smallest and some random networks from the whole one.

        Args:
            call: Inputs and answer of the whole network.
        """
        args, kwargs, wanted = call
        if self._steps % (4 * self._size) == 0:
            self._pool = [self._part(self._space.sample(self._rng)) for _ in range(self._size)]
        self._steps += 1
        chosen = [self._pool[int(self._rng.integers(self._size))] for _ in range(self._samples)]
        answers = [part(self._network, *args, **kwargs) for part in (self._smallest, *chosen)]
        return torch.stack([difference(answer, wanted) for answer in answers]).mean()

    def _part(self, architecture: Architecture) -> Part:
        return Part(self._space, unfactored(self._space, architecture))


class Part:
    """One smaller network, without weights of its own.

    Args:
        space: Space of the network.
        architecture: Architecture of it.
    """

    def __init__(self, space: ReductionSpace, architecture: Architecture) -> None:
        self._network = space.build(architecture).train()
        self._names = tuple(state_of(self._network))
        indices = space.indices(architecture)
        self._indices = {
            name: [(axis, torch.as_tensor(index)) for axis, index in axes.items()] for name, axes in indices.items()
        }

    def __call__(self, whole: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Computes with slices of the weights of the whole network, through which gradients flow."""
        state = state_of(whole)
        own = {}
        for name in self._names:
            value = state.get(name)
            if value is None:
                continue  # what padding modules keep
            for axis, index in self._indices.get(name, ()):
                value = value.index_select(axis, index.to(value.device))
            own[name] = value if value.requires_grad else value.clone()
        return functional_call(self._network, own, args, kwargs)


def put(network: nn.Module, space: ReductionSpace, architecture: Architecture, folder: Path) -> None:
    """Fills a smaller network with its part of the shared weights.

    Args:
        network: The smaller network.
        space: Space of it.
        architecture: Architecture of it.
        folder: Folder of the work.
    """
    weights = translated(read_tensors(folder / FILE), space.decided(architecture).separable, ())
    inherit(network, weights, space.indices(architecture), {})


def unfactored(space: ReductionSpace, architecture: Architecture) -> Architecture:
    """Returns a network with whole convolutions in place of separable pairs, whose weights are not slices of others.

    Args:
        space: Space of the network.
        architecture: Architecture of it.
    """
    vector = [
        len(choice.options) - 1 if choice.name.startswith(OPERATOR) else index
        for choice, index in zip(space.choices, space.vector(architecture), strict=True)
    ]
    return space.from_vector(vector)
