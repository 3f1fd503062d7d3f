"""One reduction of a trained network on CIFAR-10 (JPEG), by a strategy of ours or by torch-pruning.

Every row of a comparison starts from the same trained network and does the same work: six operations per
multiply-accumulate of every training image, two of every image that is scored. What a search trains and scores counts,
and what is left goes into the final training. Candidates are chosen by validation images, figures are of test images.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from _continual import Part, _whole
from nasplug_reduction import ReductionSpace, shrink
from nasplug_reduction.planning import uniform
from nasplug_reduction.pricing import Pricer
from nasplug_reduction.sensitivity import to_probe
from torch import Tensor, nn
from torch.nn import functional

import nasplug as nas
from nasplug.cost.counts import count_macs, count_params
from nasplug.data.arrays import ImageArrays
from nasplug.evaluate.trainer import quiet

#: Ours, then the baselines, then the peer: as its authors' scripts prune, and with equal shares of all layers.
METHODS = (
    *("uniform", "greedy", "evolution", "supernet", "random", "uniform_scratch"),
    *("torch_pruning", "torch_pruning_local", "snare", "policy", "sensitivity"),
)
#: Images of each of the 50 batches by which FastNAS calibrates a candidate, and validation images that score it: as few
#: as leave it two thirds of its work for the final training.
CALIBRATED, SCORED = 2, 128
#: Batches of a recalibration, and images in one.
BATCHES, BATCH = 5, 64
VALIDATION = 0.2
#: Steps from nothing to everything in the scripts of torch-pruning's authors.
ITERATIVE_STEPS = 400


@dataclass(frozen=True)
class Recipe:
    """What all rows of a comparison share.

    Attributes:
        data: File of the images.
        network: `resnet`, `wrn` or the name of a network of timm.
        blocks: Blocks of each of the three groups of `resnet` and `wrn`.
        width: Width of the first group of `resnet`; widening factor of `wrn`.
        train: Number of training images, those for validation included; None for all.
        test: Number of test images; None for all.
        halved: Whether images have half the height and width.
        pretraining: Epochs of the original network.
        tuning: Work of every row, in epochs of the original network.
        lr: Learning rate of every training.
        supernet: Epochs of the shared weights.
        device: `cpu` or `cuda`.
    """

    data: Path
    network: str
    blocks: int = 1
    width: int = 16
    train: int | None = None
    test: int | None = None
    halved: bool = False
    pretraining: int = 20
    tuning: int = 10
    lr: float = 0.05
    supernet: int = 2
    device: str = "cpu"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (3, 16, 16) if self.halved else (3, 32, 32)

    @property
    def images(self) -> int:
        """Number of images of an epoch."""
        return round((self.train or len(_whole(str(self.data)).x_train)) * (1 - VALIDATION))


class Parted(Part):
    """The first images for training, from which validation images are held out, and the first test images."""

    def load(self) -> ImageArrays:
        """Reads the images."""
        whole = _whole(self.path)
        assert whole.x_test is not None
        assert whole.y_test is not None
        return ImageArrays(
            self._sized(whole.x_train[: self.train]),
            whole.y_train[: self.train],
            x_test=self._sized(whole.x_test[: self.test]),
            y_test=whole.y_test[: self.test],
            classes=whole.classes,
        )


def task(recipe: Recipe) -> nas.ImageClassification:
    """Images with shifts and mirroring, SGD with momentum and a cosine for every training."""
    training = nas.Training(optimizer="sgd", lr=recipe.lr, momentum=0.9, weight_decay=5e-4, schedule="cosine")
    return nas.ImageClassification(
        Parted(str(recipe.data), recipe.train, recipe.test, recipe.halved),  # type: ignore[arg-type]
        batch_size=BATCH,
        augment="crop_flip",
        training=training,
        split=nas.data.Split(val_fraction=VALIDATION),
    )


class PreActivation(nn.Module):
    """A block of a wide residual network (Zagoruyko and Komodakis, BMVC 2016): normalisation and ReLU come first.

    Args:
        before: Number of channels of the input.
        after: Number of channels of the output.
        stride: Stride of the first convolution.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(after), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        project = before != after or stride != 1
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, after, H / stride, W / stride) for `x` (N, before, H, W)."""
        first = functional.relu(self.bn1(x))
        rest = self.conv2(functional.relu(self.bn2(self.conv1(first))))
        shortcut: Tensor = x if self.shortcut is None else self.shortcut(first)
        return rest + shortcut


def wide_resnet(blocks: int, widening: int, outputs: int = 10) -> nn.Sequential:
    """WRN-(6 `blocks` + 4)-`widening` for small images.

    Args:
        blocks: Number of blocks of each of the three groups.
        widening: Factor of all widths.
        outputs: Number of classes.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    before = 16
    for group, width in enumerate((16, 32, 64)):
        for block in range(blocks):
            layers.append(PreActivation(before, width * widening, 2 if group and not block else 1))
            before = width * widening
    layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs)]
    return nn.Sequential(*layers)


def built(recipe: Recipe, seed: int) -> nn.Module:
    """The untrained network."""
    torch.manual_seed(seed)
    if recipe.network == "resnet":
        from nasplug_cgap.networks import ResNet

        return ResNet(3, 10, blocks=recipe.blocks, width=recipe.width)
    if recipe.network == "wrn":
        return wide_resnet(recipe.blocks, recipe.width)
    import timm

    network: nn.Module = timm.create_model(recipe.network, num_classes=10)
    return network


def fitted(network: nn.Module, recipe: Recipe, epochs: int, seed: int) -> dict[str, float]:
    """Trains a network in a Trainer alone, and scores it on test images once, after the last epoch."""
    goal = task(recipe)
    pl.seed_everything(seed, verbose=False)
    module, data = goal.module(network.train(), {}), goal.datamodule()
    options: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    with quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator=recipe.device,
            devices=1,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            **options,
        )
        trainer.fit(module, datamodule=data)
        (tested,) = trainer.test(module, datamodule=data, verbose=False)
    network.cpu()
    return {"test_acc": float(tested["test_acc"]), "epochs": epochs}


def work(macs: float, epochs: float, recipe: Recipe, *, scored: float = 0) -> float:
    """Operations of a training, and of scoring a network after recalibration so many times."""
    validation = recipe.images * VALIDATION / (1 - VALIDATION)
    return macs * (6 * epochs * recipe.images + 2 * scored * (BATCHES * BATCH + validation))


def spent(study: nas.Study, recipe: Recipe) -> float:
    """Work of all trials of a study but the first, which scores the original network."""
    return sum(
        work(trial.costs["macs"], study.budget_of(trial).epochs, recipe, scored=study.budget_of(trial).epochs == 0)
        for trial in study.trials[1:]
    )


def reduce(method: str, network: nn.Module, keep: float, seed: int, recipe: Recipe) -> dict[str, Any]:
    """One row: a network reduced to a share of its parameters, and trained with the work that is left.

    Args:
        method: One of `METHODS`, or `fastnas`, in the environment that `_fastnas.py` names.
        network: The trained network.
        keep: Share of the parameters that stays.
        seed: Seed of the search and of the final training.
        recipe: Settings of the comparison.
    """
    started, network = time.perf_counter(), copy.deepcopy(network)
    macs, before, extra = float(count_macs(network, recipe.shape)), 0.0, 0
    if method == "uniform_scratch":
        space = ReductionSpace.from_model(network, recipe.shape)
        narrow = uniform(Pricer(space, None, ["params"]), {"params": keep * count_params(network)})
        found = space.build(narrow)
        torch.manual_seed(seed)
        for part in found.modules():
            getattr(part, "reset_parameters", lambda: None)()
        extra = recipe.pretraining
    elif method == "fastnas":
        found, before = fastnas_pruned(network, keep, recipe)
    elif method.startswith("torch_pruning"):
        found = torch_pruned(network, keep, recipe, local=method.endswith("local"))
    else:
        found, before = searched(method, network, keep, seed, recipe)
    searching = time.perf_counter() - started
    smaller = float(count_macs(found, recipe.shape))
    budget = work(macs, recipe.tuning + extra, recipe)
    epochs = max(1, round((budget - before) / work(smaller, 1, recipe)))
    return {
        **{"network": recipe.network, "method": method, "keep": keep, "seed": seed},
        "params": count_params(found),
        "macs": smaller,
        "search_work": before,
        "work": before + work(smaller, epochs, recipe),
        **fitted(found.requires_grad_(), recipe, epochs, seed),
        "search_seconds": searching,
        "seconds": time.perf_counter() - started,
    }


def searched(method: str, network: nn.Module, keep: float, seed: int, recipe: Recipe) -> tuple[nn.Module, float]:
    """The network that a strategy of ours finds, and the work that it took."""
    settings: dict[str, Any] = {
        "greedy": {"steps": 3, "candidates": 4, "step_epochs": 1},
        "evolution": {"generations": 2, "children": 8},
        "random": {"generations": 1, "children": 16},
        "supernet": {"generations": 2, "children": 8, "supernet_epochs": recipe.supernet},
        "snare": {"generations": 6, "candidate_epochs": 0},
        "sensitivity": {"probes": 1, "batches": 2},
        "policy": {"removal_episodes": 1, "episodes": 3, "rollouts": 4},
    }.get(method, {})
    name = "evolution" if method == "random" else method
    result = shrink(
        network,
        data=task(recipe),
        keep=keep,
        epochs=0,
        strategy=nas.component(f"reduction.{name}", **settings, **({} if method == "uniform" else {"compare": False})),
        space={"recalibrate": BATCHES},
        seed=seed,
        device=recipe.device,
        progress=False,
        rehearse=False,
    )
    further = 0.0
    if method == "supernet":
        further = shared_work(network, recipe)
    elif method == "sensitivity":
        further = probing_work(network, keep, recipe, **settings)
    return result.network, spent(result.study, recipe) + further


def probing_work(network: nn.Module, keep: float, recipe: Recipe, probes: int, batches: int, **_: Any) -> float:
    """Work of the forward passes by which sensitivities are measured, the original network's included."""
    space = ReductionSpace.from_model(network, recipe.shape)
    narrow = uniform(Pricer(space, None, ["params"]), {"params": keep * count_params(network)})
    full = [int(index) for index in space.vector(space.full)]
    vectors = [full]
    for position, index in to_probe(space, [int(each) for each in space.vector(narrow)], probes):
        vectors.append([*full[:position], index, *full[position + 1 :]])
    macs = sum(count_macs(space.skeleton(space.from_vector(vector)), recipe.shape) for vector in vectors)
    return 2.0 * macs * batches * BATCH


def shared_work(network: nn.Module, recipe: Recipe) -> float:
    """Work of training shared weights: the whole, the smallest and two random networks in every step."""
    space, rng = ReductionSpace.from_model(network, recipe.shape), np.random.default_rng(0)
    drawn = [count_macs(space.skeleton(space.sample(rng)), recipe.shape) for _ in range(10)]
    ends = count_macs(network, recipe.shape) + count_macs(space.skeleton(space.smallest), recipe.shape)
    return work(ends + 2 * float(np.mean(drawn)), recipe.supernet, recipe)


def fastnas_pruned(network: nn.Module, keep: float, recipe: Recipe) -> tuple[nn.Module, float]:
    """The network that FastNAS leaves, changed in place, and the work of all its forward passes."""
    import _fastnas

    data = task(recipe).datamodule()
    images, labels = (torch.cat(parts)[:SCORED] for parts in zip(*data.val_dataloader(), strict=True))
    loader = _fastnas.calibration(data.train_dataloader(), CALIBRATED)
    return _fastnas.prune(network, loader, (images, labels), keep * count_params(network))


def torch_pruned(network: nn.Module, keep: float, recipe: Recipe, *, local: bool) -> nn.Module:
    """The network that torch-pruning leaves.

    Args:
        network: The trained network, changed in place.
        keep: Share of the parameters that stays.
        recipe: Settings of the comparison.
        local: Whether all layers lose the same share, by L2 norm, as is the default of the library. Otherwise groups
            are ranked together by `GroupNormPruner` in small steps, as in the scripts of its authors.
    """
    import torch_pruning  # type: ignore[import-untyped]

    wanted, example = keep * count_params(network), torch.zeros(1, *recipe.shape)

    def pruner(of: nn.Module, make: Any, **options: Any) -> Any:
        heads = [part for part in of.modules() if isinstance(part, nn.Linear) and part.out_features == 10]
        importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
        return make(of, example, importance=importance, ignored_layers=heads, **options)

    if not local:
        steps = pruner(
            network,
            torch_pruning.pruner.GroupNormPruner,
            global_pruning=True,
            iterative_steps=ITERATIVE_STEPS,
            pruning_ratio=1.0,
        )
        while count_params(network) > wanted and steps.current_step < ITERATIVE_STEPS:
            steps.step()
        return network
    low, high, best = 0.0, 0.99, network
    for _ in range(12):
        ratio, pruned = (low + high) / 2, copy.deepcopy(network)
        pruner(pruned, torch_pruning.pruner.BasePruner, pruning_ratio=ratio).step()
        if count_params(pruned) <= wanted:
            high, best = ratio, pruned
        else:
            low = ratio
    return best
