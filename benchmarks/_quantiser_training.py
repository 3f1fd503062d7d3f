"""One training of a quantised network on CIFAR-10 (JPEG), with the images and their augmentation on the device."""

from __future__ import annotations

import functools
import importlib.metadata
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _quantiser_networks import quantised, resnet
from nasplug_darts_lp.folding import agreement, fold, size
from nasplug_darts_lp.layers.quantise import freeze
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

#: Steps of a training before its graph is captured.
WARM = 12


class CaptureError(RuntimeError):
    """A step of the training could not be captured as a CUDA graph; the process is of no use any more."""


@dataclass(frozen=True)
class Recipe:
    """What all trainings of a comparison share.

    Attributes:
        data: File of the images.
        width, body, blocks, stem_stride: Shape of the network.
        pretrain, pretrain_lr: Epochs in floating point that all trainings of a seed begin with, and their rate.
        epochs, batch, lr: Settings of the quantised training.
        limit: Images for training, and as many for the test; None for all.
        device: `cpu` or `cuda`.
        graph: Whether, on a GPU, a step is captured once and replayed, which spares the time of launching its kernels.
    """

    data: Path
    width: int = 16
    body: str = "relu"
    blocks: int = 3
    stem_stride: int = 1
    pretrain: float = 0
    pretrain_lr: float = 0.1
    epochs: float = 30
    batch: int = 256
    lr: float = 0.1
    limit: int | None = None
    device: str = "cpu"
    graph: bool = False


@functools.lru_cache(maxsize=1)
def images_of(path: Path, limit: int | None) -> dict[str, torch.Tensor]:
    """Images as they are, uint8 (N, 3, 32, 32), and labels; the last tenth of the training images is not used."""
    from nasplug.data import Npz

    arrays = Npz(str(path)).load()
    keep = slice(0, limit or len(arrays.y_train) * 9 // 10)
    held = slice(0, None if limit is None else limit)
    pairs = {"train": (arrays.x_train[keep], arrays.y_train[keep]), "test": (arrays.x_test[held], arrays.y_test[held])}
    found = {}
    for name, (x, y) in pairs.items():
        found[f"x_{name}"] = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2).contiguous()
        found[f"y_{name}"] = torch.from_numpy(np.asarray(y, dtype=np.int64))
    return found


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Shifts by up to 4 pixels and mirrors, each image on its own."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, count, 1, 1, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)[:, None]
    columns = left + torch.arange(width, device=images.device)
    columns = torch.where(torch.rand(count, 1, 1, 1, device=images.device) < 0.5, columns, columns.flip(-1))
    return padded[
        torch.arange(count, device=images.device)[:, None, None, None],
        torch.arange(3, device=images.device)[:, None, None],
        rows,
        columns,
    ]


def groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; normalisation, biases and quantisers do not."""
    named = list(network.named_parameters())
    weights = [p for n, p in named if p.dim() > 1 and "quantiser" not in n and "_quant" not in n]
    chosen = {id(parameter) for parameter in weights}
    others = [parameter for _, parameter in named if id(parameter) not in chosen]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images that are classified rightly, in inference mode."""
    network.eval()
    with torch.no_grad():
        right = [(network(x).argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)]
    return float(torch.stack(right).sum()) / len(labels)


class Training:
    """A training that can be stepped.

    Args:
        kind: Name of a row, see `quantised`; `pretrained` is the floating-point training before all others.
        bits: Bits of weights and activations; None for floating point.
        seed: Seed of the initial weights, the order of the images and their augmentation.
        recipe: The rest.
        start: File of the weights to start from.
    """

    def __init__(self, kind: str, bits: int | None, seed: int, recipe: Recipe, start: Path | None = None) -> None:
        self.kind, self.bits, self.seed, self.recipe = kind, bits, seed, recipe
        self.device = torch.device(recipe.device)
        data = images_of(recipe.data, recipe.limit)
        x_train = data["x_train"].to(self.device).float()
        mean, deviation = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
        self.x_train = (x_train - mean) / deviation
        self.x_test = (data["x_test"].to(self.device).float() - mean) / deviation
        self.y_train, self.y_test = data["y_train"].to(self.device), data["y_test"].to(self.device)
        self.batches = len(self.y_train) // recipe.batch
        first = kind == "pretrained"
        epochs, lr = (recipe.pretrain, recipe.pretrain_lr) if first else (recipe.epochs, recipe.lr)
        self.steps = max(1, round(epochs * self.batches))
        torch.manual_seed(seed)
        base = resnet(recipe.width, recipe.body, recipe.blocks, recipe.stem_stride)
        if start is not None:
            base.load_state_dict(load_file(start))
        self.network = quantised(base, kind, bits, statistics=max(1, self.steps // 10)).to(self.device)
        if self.device.type == "cpu":
            self.network = self.network.to(memory_format=torch.channels_last)
            self.x_train = self.x_train.contiguous(memory_format=torch.channels_last)
            self.x_test = self.x_test.contiguous(memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(groups(self.network, 5e-4), lr, momentum=0.9, nesterov=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, lr, self.steps, pct_start=0.1)
        self.losses = torch.zeros(self.steps, device=self.device)
        self.order = torch.zeros(0)
        self.chosen = torch.zeros(recipe.batch, dtype=torch.long, device=self.device)
        self.loss: torch.Tensor | None = None
        self.graph: Any = None
        self.done = 0
        self.network.train()

    def forward_backward(self) -> torch.Tensor:
        """Gradients of the chosen images, and the loss."""
        images = augmented(self.x_train[self.chosen])
        loss = functional.cross_entropy(self.network(images), self.y_train[self.chosen])
        loss.backward()
        return loss.detach()

    def step(self) -> None:
        """One step of the optimiser."""
        place = self.done % self.batches
        if place == 0:
            self.order = torch.randperm(len(self.y_train), device=self.device)
        self.chosen.copy_(self.order[place * self.recipe.batch :][: self.recipe.batch])
        if self.graph is None:
            self.optimiser.zero_grad(set_to_none=True)
            loss = self.forward_backward()
        else:
            self.graph.replay()
            assert self.loss is not None
            loss = self.loss
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.losses[self.done] = loss
        self.done += 1

    def warm_up(self) -> None:
        """The first steps, one by one, and then the capture of a step if the recipe asks for it.

        Raises:
            CaptureError: The step cannot be captured.
        """
        if self.device.type != "cuda" or not self.recipe.graph:
            return
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            while self.done < min(WARM, self.steps):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        self.optimiser.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.loss = self.forward_backward()
            torch.cuda.synchronize()
        except RuntimeError as error:
            raise CaptureError(f"{self.kind}, {self.bits} bits: {error}") from error
        self.graph = graph

    def run(self) -> dict[str, Any]:
        """All steps, and what came of them."""
        started = time.perf_counter()
        self.warm_up()
        while self.done < self.steps:
            self.step()
        losses = [float(part.mean()) for part in self.losses.tensor_split(10) if len(part)]  # waits for the device
        seconds = time.perf_counter() - started
        return {
            **{"kind": self.kind, "bits": self.bits, "seed": self.seed, "steps": self.steps},
            "losses_by_tenth": losses,
            "test_acc": accuracy(self.network, self.x_test, self.y_test),
            "seconds_per_epoch": seconds / (self.steps / self.batches),
            "parameters_in_training": sum(parameter.numel() for parameter in self.network.parameters()),
        }


def exact(device: str) -> None:
    """One thread, and no TensorFloat-32: products of quantised numbers are exact in float32 only."""
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = device != "cpu"


def train(
    kind: str,
    bits: int | None,
    seed: int,
    recipe: Recipe,
    *,
    start: Path | None = None,
    keep: Path | None = None,
    folding: bool = True,
) -> dict[str, Any]:
    """One training with what is recorded of it.

    Args:
        kind: Name of a row.
        bits: Bits of weights and activations; None for floating point.
        seed: Seed of everything random.
        recipe: The rest.
        start: File of the weights to start from.
        keep: Path to write the weights to.
        folding: Whether the network is folded into whole numbers, and these compared.
    """
    exact(recipe.device)
    training = Training(kind, bits, seed, recipe, start)
    result = training.run()
    if kind == "brevitas":
        result["version"] = importlib.metadata.version("brevitas")
    elif kind not in ("pretrained", "float"):
        frozen = freeze(training.network).cpu()
        result["parameters_after"] = sum(parameter.numel() for parameter in frozen.parameters())
        if folding:
            folded = fold(frozen, (3, 32, 32))
            found = agreement(frozen, folded, training.x_test[:16].cpu())
            result |= {"folded_integers": found.integers, "folded_differing": found.differing + found.differing_outputs}
            result["folded_bytes"] = size(folded).total
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        partial = keep.with_suffix(".partial")
        save_file({name: value.cpu().contiguous() for name, value in training.network.state_dict().items()}, partial)
        partial.replace(keep)
    return result
