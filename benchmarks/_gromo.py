"""Growth by gromo inside a Lightning Trainer, by the task of the benchmark on growth.

gromo is not a dependency; see `_fastnas.py` for an environment. Its residual network grows the channels inside its
blocks, by the first-order updates of Verbockhaven et al., TMLR 2024, in the steps of its tutorial: statistics of
training images for one block, new channels, a search of their scale, and on with the training.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nasplug.cost.counts import count_macs, count_params

#: The whole number of channels inside a block, over that before growth.
SEED = 8
#: Shares of a training at which one block grows, the blocks in turn; those after the ninth are there in case that
#: updates had fewer significant channels than were asked for.
GROWN_AT = tuple(0.05 * step for step in range(1, 13))
ROUNDS = 3
#: Batches for the statistics, and scales that are tried.
BATCHES = 16
SCALES = (0.1, 0.5, 1.0)
Batch = tuple[Tensor, Tensor]


def network(width: int, hidden: Sequence[int], stride: int, *, exact: bool = False) -> Any:
    """A residual network of three blocks as `nasplug_cgap.networks.ResNet` has them.

    Args:
        width: Channels of the first block; the others have two and four times as many.
        hidden: Channels inside each block.
        stride: Stride of the first convolution, which the library has no argument for.
        exact: Whether statistics follow every position of an image, which is not the library's default.
    """
    from gromo.containers.resnet import init_full_resnet_structure  # type: ignore[import-not-found]
    from gromo.modules.conv2d_growing_module import (  # type: ignore[import-not-found]
        FullConv2dGrowingModule,
        RestrictedConv2dGrowingModule,
    )

    found = init_full_resnet_structure(
        input_shape=(3, 32, 32),
        out_features=10,
        number_of_blocks_per_stage=1,
        nb_stages=len(hidden),
        inplanes=width,
        use_preactivation=False,
        skip_first_downsample=False,
        hidden_channels=tuple(hidden),
        growing_conv_type=FullConv2dGrowingModule if exact else RestrictedConv2dGrowingModule,
    )
    found.pre_net[0].stride = (stride, stride)
    return found


def goal(width: int, stride: int, params: float) -> tuple[int, ...]:
    """Channels inside the blocks of the largest network with that many parameters, the same share of every block."""
    whole = 4 * width
    shapes = [tuple(max(1, round(size / whole * width * 2**block)) for block in range(3)) for size in range(1, whole)]
    return max((shape for shape in shapes if count_params(network(width, shape, stride)) <= params), key=sum)


def statistics(grown: Any, block: int, batches: Sequence[Batch]) -> None:
    """Fills the statistics of a block."""
    grown.set_growing_layers(index=block)
    grown.init_computation()
    grown.eval()
    for images, labels in batches:
        grown.zero_grad()
        functional.cross_entropy(grown(images), labels, reduction="sum").backward()
        grown.update_computation()


def price(width: int, hidden: Sequence[int], stride: int, images: int, *, exact: bool) -> list[float]:
    """Operations of the statistics of each block as multiples of those of a forward pass."""
    torch.manual_seed(0)
    batch, found = (torch.randn(images, 3, 32, 32), torch.randint(0, 10, (images,))), []
    for block in range(len(hidden)):
        grown = network(width, hidden, stride, exact=exact)
        forward = 2.0 * images * count_macs(grown, (3, 32, 32))
        with FlopCounterMode(display=False) as counter:
            statistics(grown, block, [batch])
        found.append(counter.get_total_flops() / forward)
    return found


class Growing(pl.Callback):
    """Grows the network of a training to a goal, and counts the work.

    Args:
        goal: Channels inside the blocks at the end.
        shape: Shape of an image.

    Attributes:
        work: Operations of the training and of the growth.
        growing: The part of them that statistics, updates and the search of scales took.
        steps: Block of each growth, channels asked for, channels added, and scale.
    """

    def __init__(self, goal: Sequence[int], shape: tuple[int, ...]) -> None:
        self.goal, self.shape = tuple(goal), shape
        self.work, self.growing, self.per_image = 0.0, 0.0, 0.0
        self.due, self.steps = 0, list[dict[str, Any]]()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures the seed."""
        grown: Any = pl_module.network
        self.per_image = 6.0 * count_macs(grown, self.shape)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Counts, and grows a block if that is due."""
        self.work += self.per_image * len(batch[1])
        progress = trainer.global_step / trainer.estimated_stepping_batches
        if self.due == len(GROWN_AT) or progress < GROWN_AT[self.due]:
            return
        turn, self.due = self.due, self.due + 1
        missing = [wanted - part.hidden_neurons for wanted, part in zip(self.goal, self.blocks(pl_module), strict=True)]
        block = next((each % 3 for each in range(turn, turn + 3) if missing[each % 3] > 0), None)
        if block is None:
            return
        size = math.ceil(missing[block] / max(1, ROUNDS - turn // 3))
        data = list(islice(trainer.datamodule.train_dataloader(), BATCHES))
        with FlopCounterMode(display=False) as counter, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.grow(pl_module.network, block, size, data)
        pl_module.train()
        self.growing += counter.get_total_flops()
        self.work += counter.get_total_flops()
        (optimizer,) = trainer.optimizers
        present = list(pl_module.parameters())
        for gone in set(optimizer.state) - set(present):
            del optimizer.state[gone]
        optimizer.param_groups[0]["params"] = present
        self.per_image = 6.0 * count_macs(pl_module.network, self.shape)

    def blocks(self, pl_module: Any) -> list[Any]:
        """The blocks that grow, in order."""
        return [part for part in pl_module.network.modules() if type(part).__name__ == "Conv2dGrowingBlock"]

    def grow(self, grown: Any, block: int, size: int, data: Sequence[Batch]) -> None:
        """Adds up to `size` channels to a block, with the scale that lowers the loss of the batches most."""
        statistics(grown, block, data)
        # As the library says for that publication.
        grown.compute_optimal_updates(maximum_added_neurons=size, compute_delta=False)
        grown.reset_computation()
        grown.dummy_select_update()
        losses = {}
        with torch.no_grad():
            for scale in SCALES:
                grown.set_scaling_factor(scale)
                losses[scale] = sum(
                    float(functional.cross_entropy(grown.extended_forward(images), labels, reduction="sum"))
                    for images, labels in data
                )
        best = min(losses, key=lambda scale: losses[scale])
        grown.set_scaling_factor(best)
        added = int(grown.currently_updated_layer.eigenvalues_extension.shape[0])
        grown.apply_change()
        grown.zero_grad()
        self.steps.append({"block": block, "asked": size, "added": added, "scale": best})
