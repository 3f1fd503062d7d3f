"""Networks that grow while they train: a space of one hidden layer, and plugins that widen it, honestly or not."""

from __future__ import annotations

import nasplug as nas

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("hidden", f"{__name__}:Hidden", summary="One hidden layer.")
    catalog.callback("widen", f"{__name__}:Widen", summary="Widens the hidden layer at an epoch.")
    catalog.strategy("again", f"{__name__}:Again", summary="The same two architectures, twice.")
    catalog.strategy("promote", f"{__name__}:Promote", summary="One network, then the same continued.")


class Hidden(nas.ChoiceSpace):
    """One hidden layer of 4 or 8 units."""

    def __init__(self) -> None:
        super().__init__("hidden", [nas.Choice("width", (4, 8))])

    def build(self, architecture, task):
        import math

        from torch import nn

        (width,) = architecture.genotype
        inputs = math.prod(task.input_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, task.outputs))


class Again:
    """Both widths, and both again, which are copies."""

    @nas.hookimpl
    def propose(self, study, count):
        widths = [4, 8, 4, 8][study.proposed : study.proposed + count]
        return [study.proposal(study.space.architecture([width])) for width in widths]


class Promote:
    """One network for two epochs, then the same for four, continued."""

    keeps_checkpoints = True

    @nas.hookimpl
    def propose(self, study, count):
        if study.pending or study.proposed == 2:
            return []
        parent = study.trials[0] if study.trials else None
        return [study.proposal(study.space.architecture([4]), epochs=2 * (study.proposed + 1), parent=parent)]


class Widen:
    """Adds units to the hidden layer at the start of an epoch.

    Args:
        units: How many.
        epoch: When.
        says: What it records: `all`, `nothing`, or `less` than it did.
        how: `wider`, or `deeper` for another layer at the end.
    """

    def __init__(self, units: int = 3, epoch: int = 1, says: str = "all", how: str = "wider") -> None:
        self.units, self.epoch, self.says, self.how = units, epoch, says, how

    @nas.hookimpl
    def configure_callbacks(self, run):
        import pytorch_lightning as pl

        outer = self

        class Widening(pl.Callback):
            def on_train_epoch_start(self, trainer, module):
                if trainer.current_epoch != outer.epoch:
                    return
                record = {"by": "widen", "units": outer.units, "how": outer.how}
                outer.edit(run.network, record)
                trainer.strategy.setup_optimizers(trainer)
                if outer.says != "nothing":
                    run.edit({**record, "units": outer.units - (outer.says == "less")})

        return [] if run.trial.edits else [Widening()]  # one that has grown is trained as it is

    @nas.hookimpl
    def edit(self, network, edit):
        if edit.get("by") != "widen":
            return None
        if edit["how"] == "deeper":
            from torch import nn

            network.append(nn.Linear(network[3].out_features, network[3].out_features))
        else:
            widen(network, edit["units"])
        return network


def widen(network, units):
    """Adds units to the hidden layer in place: those that there are keep their weights."""
    import torch
    from torch import nn

    first, last = network[1], network[3]
    wider = nn.Linear(first.in_features, first.out_features + units)
    onward = nn.Linear(last.in_features + units, last.out_features)
    with torch.no_grad():
        wider.weight[: first.out_features] = first.weight
        wider.bias[: first.out_features] = first.bias
        onward.weight[:, : last.in_features] = last.weight
        onward.bias.copy_(last.bias)
    network[1], network[3] = wider, onward
