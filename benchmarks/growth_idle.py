"""What the callback `cgap` costs in steps in which it changes nothing, as a share of the step that it stands in.

A ResNet-8 of width 16 trains on noise of 32 x 32 pixels in batches of 64. In every step the CPU time of the callback's
hook is measured beside that of the step around it, so that both see the same load of the machine. Steps that score or
change channels are left out: `waiting` are those between two changes, `done` those after the last one.

Run: OMP_NUM_THREADS=1 python benchmarks/growth_idle.py
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch
from _record import record
from nasplug_cgap.growth.callback import Growing
from nasplug_cgap.growth.settings import Growth, Pruning, Settings
from nasplug_cgap.networks import ResNet
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nasplug.contract.io import Inputs

SHAPE, SEEDS, STEPS = (3, 32, 32), (1, 2, 3), 60


class Timed(Growing):
    """Times its hook, and the steps."""

    started = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shares: dict[str, list[float]] = {"waiting": [], "done": []}

    def on_train_batch_start(self, *_: Any) -> None:
        """A step begins."""
        self.started = time.thread_time()

    def on_train_batch_end(self, *arguments: Any) -> None:
        """A step ends."""
        scored, edits, before = len(self._scores), len(self.edits), time.thread_time()
        super().on_train_batch_end(*arguments)
        now = time.thread_time()
        if len(self._scores) == scored and len(self.edits) == edits:
            phase = "done" if self.phase == "done" else "waiting"
            self.shares[phase].append((now - before) / (now - self.started))


class Module(pl.LightningModule):
    """The network with SGD."""

    def __init__(self) -> None:
        super().__init__()
        self.network = ResNet(3, 10, blocks=1, width=16, stem_stride=2)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """Loss of a batch."""
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with momentum."""
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


def run(seed: int) -> dict[str, float]:
    """Median share of a step, by what the callback waits for."""
    torch.set_num_threads(1)
    pl.seed_everything(seed, verbose=False)
    data = DataLoader(TensorDataset(torch.randn(64 * STEPS, *SHAPE), torch.randint(10, (64 * STEPS,))), batch_size=64)
    settings = Settings(Growth(seed=0.5, until=0.4), Pruning(until=0.5))
    callback = Timed(settings, lambda module: module.network, Inputs.of(SHAPE))
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    pl.Trainer(max_epochs=4, accelerator="cpu", callbacks=[callback], **quiet).fit(Module(), data)
    return {phase: statistics.median(shares) for phase, shares in callback.shares.items()}


def main() -> None:
    """Runs all seeds and records them."""
    runs = [{"seed": seed, **run(seed)} for seed in SEEDS]
    summary = {phase: {"mean": statistics.mean(one[phase] for one in runs)} for phase in ("waiting", "done")}
    settings = {"steps": STEPS, "batch": 64, "network": "ResNet-8, width 16, stem with stride 2"}
    record("growth_idle", {"settings": settings, "seeds": list(SEEDS), "summary": summary, "runs": runs})


if __name__ == "__main__":
    main()
