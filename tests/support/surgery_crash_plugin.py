"""Networks with a residual block, edited with surgery while they train; the process can be killed after the edits.

If the variable `SURGERY_KILLS` names a folder, each trial kills its process once, in the middle of the epoch after its
edits.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import nasplug as nas

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("residual", f"{__name__}:Residual", summary="A stem, a residual block and a head.")
    catalog.callback("cutter", f"{__name__}:Cutter", summary="Removes channels, splits others and drops the block.")
    catalog.strategy("continued", f"{__name__}:Continued", summary="One network, then the same continued.")


def block(width: int):
    """A residual block."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))

        def forward(self, x):
            return x + self.branch(x)

    return Block()


class Residual(nas.ChoiceSpace):
    """A stem of 6 channels, a residual block, and a hidden layer of 8."""

    def __init__(self) -> None:
        super().__init__("residual", [nas.Choice("width", (6,))])

    def build(self, architecture, task):
        from torch import nn

        (width,) = architecture.genotype
        stem = (nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), block(width))
        head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 8), nn.ReLU(), nn.Linear(8, task.outputs))
        return nn.Sequential(*stem, *head)


class Continued:
    """One network for three epochs, then the same for five."""

    keeps_checkpoints = True

    @nas.hookimpl
    def propose(self, study, count):
        if study.pending or study.proposed == 2:
            return []
        parent = study.trials[0] if study.trials else None
        return [study.proposal(study.space.architecture([6]), epochs=3 + 2 * study.proposed, parent=parent)]


class Cutter:
    """Edits channels after the first epoch and the block after the fourth; the optimizer's state follows."""

    @nas.hookimpl
    def configure_callbacks(self, run):
        import pytorch_lightning as pl

        from nasplug.surgery import Surgery

        class Cutting(pl.Callback):
            def on_train_epoch_start(self, trainer, module):
                surgery = Surgery(run.network, (1, 8, 8), trainer.optimizers)
                if trainer.current_epoch == 1 and not run.trial.edits:
                    run.edit(surgery.remove({"0": [4], "6": [0, 7]}))
                    run.edit(surgery.split({"0": [1, 3]}, noise=0.01, seed=5))
                if trainer.current_epoch == 4 and len(run.trial.edits) == 2:
                    run.edit(surgery.drop(["3"]))

            def on_train_batch_end(self, trainer, module, outputs, batch, index):
                folder = os.environ.get("SURGERY_KILLS")
                if folder and index == 1 and trainer.current_epoch == (4 if run.trial.number else 1):
                    marker = Path(folder) / f"killed-{run.trial.number}"
                    if not marker.exists():
                        marker.touch()
                        os.kill(os.getpid(), signal.SIGKILL)

        return [Cutting()]

    @nas.hookimpl
    def edit(self, network, edit):
        from nasplug.surgery import is_edit, repeat

        return repeat(network, [edit]) if is_edit(edit) else None
