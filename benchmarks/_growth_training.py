"""One training of a network that shrinks, grows or stays, on CIFAR-10 (JPEG), with the images on the device.

All rows train in a Lightning Trainer by the same optimiser and schedule. Work is six operations per multiply-accumulate
of every image, on the network as it was at that step; what chooses channels is not counted, for any row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from _quantiser_training import accuracy, augmented, groups, images_of
from nasplug_cgap.growth.plugin import CGaP
from nasplug_cgap.growth.settings import Growth, Pruning
from nasplug_cgap.networks import ResNet
from torch import nn
from torch.nn import functional

import nasplug as nas
from nasplug.cost.counts import count_macs, count_params
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import find_target

SHAPE = (3, 32, 32)
#: Shares of a training at which pruning by a library takes its steps, as wide apart as ours.
PRUNED_AT = (0.40, 0.46, 0.52, 0.58, 0.64)
NPU = "npu:wu32"


@dataclass(frozen=True)
class Recipe:
    """What all trainings of a comparison share.

    Attributes:
        data: File of the images.
        network: `resnet` or `vgg`.
        width: Width of the first layer of the whole network.
        blocks: Blocks of each of the three groups of a ResNet.
        keep: Share of the parameters to end with.
        epochs, batch, lr: Settings of the training.
        limit: Images for training, and as many for the test; None for all.
        device: `cpu` or `cuda`.
        precision: Precision of Lightning's Trainer.
    """

    data: Path
    network: str = "resnet"
    width: int = 16
    blocks: int = 3
    keep: float = 0.36
    epochs: int = 20
    batch: int = 256
    lr: float = 0.1
    limit: int | None = None
    device: str = "cpu"
    precision: Any = "bf16-mixed"


def vgg(width: int) -> nn.Sequential:
    """VGG-16 for small images (Simonyan and Zhang, ICLR 2015), with batch normalisation and one linear layer."""
    layers: list[nn.Module] = []
    before = 3
    for size in (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0):
        if not size:
            layers.append(nn.MaxPool2d(2))
            continue
        convolution = nn.Conv2d(before, width * size, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, nn.BatchNorm2d(width * size), nn.ReLU(inplace=True)]
        before = width * size
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before, 10))


def built(recipe: Recipe, width: int) -> nn.Module:
    """The untrained network of a width."""
    return vgg(width) if recipe.network == "vgg" else ResNet(3, 10, blocks=recipe.blocks, width=width)


def nearest_width(recipe: Recipe, params: float) -> int:
    """The width whose number of parameters is nearest."""
    return min(range(2, recipe.width + 1), key=lambda width: abs(count_params(built(recipe, width)) - params))


class Images:
    """Batches of augmented images on the device, in a new order every epoch.

    Args:
        x: Images (N, 3, 32, 32), standardised.
        y: Labels (N,).
        batch: Images of a batch.
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor, batch: int) -> None:
        self.x, self.y, self.batch = x, y, batch

    def __len__(self) -> int:
        return len(self.y) // self.batch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.y), device=self.y.device)
        for chosen in torch.split(order[: len(self) * self.batch], self.batch):
            yield augmented(self.x[chosen]), self.y[chosen]


class Classifier(pl.LightningModule):
    """Cross-entropy, SGD with momentum, one cycle of the learning rate.

    Args:
        network: Network.
        lr: Highest learning rate.
    """

    def __init__(self, network: nn.Module, lr: float) -> None:
        super().__init__()
        self.network, self.lr = network, lr
        self.example_input_array = torch.zeros(2, *SHAPE)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Loss of a batch."""
        images, labels = batch
        return functional.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> Any:
        """Optimiser, and its schedule by step."""
        optimiser = torch.optim.SGD(groups(self.network, 5e-4), self.lr, momentum=0.9, nesterov=True)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.lr, steps, pct_start=0.1)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class TorchPruning(pl.Callback):
    """Prunes by torch-pruning in steps of a training.

    Args:
        importance: Name of the importance: `l2`, with equal shares of all layers, which is the library's default, or
            `taylor`, with one threshold for all layers, as in its benchmarks.
        keep: Share of the parameters to end with.
    """

    def __init__(self, importance: str, keep: float) -> None:
        self.importance, self.keep = importance, keep
        self.taken, self.whole = 0, 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Takes the steps that are due, with the gradients of the batch that was just trained."""
        progress = trainer.global_step / trainer.estimated_stepping_batches
        if self.taken < len(PRUNED_AT) and progress >= PRUNED_AT[self.taken]:
            self.taken += 1
            self.prune(pl_module)
            (optimiser,) = trainer.optimizers
            optimiser.state.clear()
            for old, new in zip(optimiser.param_groups, groups(pl_module.network, 5e-4), strict=True):
                old["params"] = new["params"]

    def prune(self, pl_module: Any) -> None:
        """Removes channels until the share of the parameters that is due at this step is reached."""
        import torch_pruning  # type: ignore[import-untyped]

        network = pl_module.network
        self.whole = self.whole or count_params(network)
        target = self.whole * (1 - (1 - self.keep) * self.taken / len(PRUNED_AT))
        choices = {
            "l2": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=2),
            "taylor": torch_pruning.importance.GroupTaylorImportance,
        }
        head = [module for module in network.modules() if isinstance(module, nn.Linear)]
        example = torch.zeros(1, *SHAPE, device=pl_module.device)
        pruner = torch_pruning.pruner.BasePruner(
            network,
            example,
            importance=choices[self.importance](),
            global_pruning=self.importance == "taylor",
            pruning_ratio=0.98,
            max_pruning_ratio=0.9,
            iterative_steps=200,
            ignored_layers=head,
        )
        while count_params(network) > target:
            before = count_params(network)
            pruner.step()
            if count_params(network) == before and pruner.current_step >= 200:
                break


class Work(pl.Callback):
    """Counts the work of training, as `cgap` does."""

    def __init__(self) -> None:
        self.flops, self.known = 0.0, (-1, 0.0)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Adds a batch, on the network as it is now."""
        params = sum(weight.numel() for weight in pl_module.network.parameters())
        if params != self.known[0]:
            self.known = (params, 6.0 * count_macs(pl_module.network, SHAPE))
        self.flops += self.known[1] * len(batch[1])


def callbacks_of(method: str, recipe: Recipe) -> list[pl.Callback]:
    """What changes the network while it trains."""
    kind = method.removesuffix("_work")
    if kind == "cgap":
        # Growth ends at twice the parameters to keep, unless the whole network is smaller.
        growth = Growth(seed=0.25, capacity=min(1.0, 2 * recipe.keep))
        return [nas.Plugins(CGaP(growth=growth, pruning=Pruning(keep=recipe.keep)))]
    if kind == "cgap-half":
        # A larger seed, less growth beyond what stays, and half of what is pruned taken as weights first.
        return [
            nas.Plugins(CGaP(growth=Growth(seed=0.5, capacity=0.6), pruning=Pruning(keep=recipe.keep, weights=0.5)))
        ]
    if kind == "prune":
        growth = Growth(seed=1.0, until=0.34)
        return [nas.Plugins(CGaP(growth=growth, pruning=Pruning(keep=recipe.keep)))]
    if kind.startswith("torch_pruning-"):
        return [TorchPruning(kind.removeprefix("torch_pruning-"), recipe.keep)]
    return []


def train(
    method: str, seed: int, recipe: Recipe, width: int | None = None, epochs: int | None = None
) -> dict[str, Any]:
    """One training with what is recorded of it.

    Args:
        method: Name of a row: `full`, `uniform`, `cgap`, `cgap-half`, `prune`, `torch_pruning-l2` or
            `torch_pruning-taylor`, each with `_work` behind it where the epochs are chosen by work.
        seed: Seed of the initial weights, the order of the images and their augmentation.
        recipe: The rest.
        width: Width of the network before it changes; None for the recipe's.
        epochs: Number of epochs; None for the recipe's.
    """
    started = time.perf_counter()
    torch.set_num_threads(1)
    device = torch.device(recipe.device)
    torch.backends.cudnn.benchmark = False  # shapes change
    data = images_of(recipe.data, recipe.limit)
    x_train = data["x_train"].to(device).float()
    mean, deviation = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
    x_train, y_train = (x_train - mean) / deviation, data["y_train"].to(device)
    x_test, y_test = (data["x_test"].to(device).float() - mean) / deviation, data["y_test"].to(device)
    pl.seed_everything(seed, verbose=False)
    width, epochs = width or recipe.width, epochs or recipe.epochs
    module, work = Classifier(built(recipe, width), recipe.lr), Work()
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    pl.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision=recipe.precision,
        gradient_clip_val=5.0,
        callbacks=[*callbacks_of(method, recipe), work],
        **quiet,
    ).fit(module, Images(x_train, y_train, recipe.batch))
    network = module.network.to(device)
    test_acc = accuracy(network, x_test, y_test)
    final = network.cpu().float().eval()
    return {
        **{"method": method, "network": recipe.network, "seed": seed, "width": width, "epochs": epochs},
        "test_acc": test_acc,
        "params": count_params(final),
        "macs": count_macs(final, SHAPE),
        "work": work.flops,
        "npu": priced(final),
        "widths": [layer.out_channels for layer in final.modules() if isinstance(layer, nn.Conv2d)],
        "seconds": time.perf_counter() - started,
    }


def priced(network: nn.Module) -> dict[str, float]:
    """Estimates of the accelerator for one image."""
    return dict(find_target(NPU, discover().catalog).estimate(nas.Candidate(lambda: network, SHAPE)))
