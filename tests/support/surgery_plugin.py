"""A space of one convolution, and a callback that grows and removes channels of it with surgery."""

from __future__ import annotations

import nasplug as nas

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("convolution", f"{__name__}:Convolution", summary="One convolution.")
    catalog.callback("surgeon", f"{__name__}:Surgeon", summary="Grows two channels and removes one.")
    catalog.strategy("continued", f"{__name__}:Continued", summary="One network, then the same continued.")


class Convolution(nas.ChoiceSpace):
    """One convolution of 4 channels."""

    def __init__(self) -> None:
        super().__init__("convolution", [nas.Choice("width", (4,))])

    def build(self, architecture, task):
        from torch import nn

        (width,) = architecture.genotype
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, task.outputs))
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), *head)


class Continued:
    """One network for two epochs, then the same for four."""

    keeps_checkpoints = True

    @nas.hookimpl
    def propose(self, study, count):
        if study.pending or study.proposed == 2:
            return []
        parent = study.trials[0] if study.trials else None
        return [study.proposal(study.space.architecture([4]), epochs=2 * (study.proposed + 1), parent=parent)]


class Surgeon:
    """Edits after the first epoch, the optimizer's state included."""

    @nas.hookimpl
    def configure_callbacks(self, run):
        import pytorch_lightning as pl

        from nasplug.surgery import Surgery

        class Operating(pl.Callback):
            def on_train_epoch_start(self, trainer, module):
                if trainer.current_epoch != 1:
                    return
                surgery = Surgery(run.network, (1, 8, 8), trainer.optimizers)
                run.edit(surgery.grow({"0": 2}))
                run.edit(surgery.remove({"0": [1]}))

        return [] if run.trial.edits else [Operating()]

    @nas.hookimpl
    def edit(self, network, edit):
        from nasplug.surgery import is_edit, repeat

        return repeat(network, [edit]) if is_edit(edit) else None
