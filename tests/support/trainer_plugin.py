"""A third-party plugin in one file, for a user's own Trainer: one name as cost, callback and wrapper."""

from __future__ import annotations

from pytorch_lightning import Callback
from torch import nn

import nasplug as nas


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    here = __name__
    catalog.cost("grow", f"{here}:LayerCount", summary="Number of linear layers.")
    catalog.callback("grow", f"{here}:Grow", summary="Adds a layer after some epochs.")
    catalog.wrapper("scale", f"{here}:Scale", summary="Scales the outputs.")
    catalog.cost("broken", f"{here}:Broken", summary="Fails.")
    catalog.cost("thief", f"{here}:Thief", summary="Answers for others.")
    catalog.cost("norm", f"{here}:Norm", summary="Needs trained weights.")
    catalog.stopper("after", f"{here}:After", summary="Stops after some epochs.")


class LayerCount:
    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.asked = factor, 0

    @nas.hookimpl
    def cost(self, candidate: nas.Candidate) -> dict[str, float]:
        self.asked += 1
        layers = sum(isinstance(module, nn.Linear) for module in candidate.network.modules())
        return {"grow/layers": self.factor * layers, "grow/asked": float(self.asked)}


class Grow(Callback):
    def __init__(self, at: int = 1) -> None:
        self.at, self.setups, self.epochs = at, 0, 0

    def setup(self, trainer, pl_module, stage) -> None:
        self.setups += 1

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self.epochs += 1
        if trainer.current_epoch == self.at:
            pl_module.network.append(nn.Linear(10, 10).to(pl_module.device))

    def state_dict(self) -> dict:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict) -> None:
        self.epochs = state_dict["epochs"]


class Scaled(nn.Module):
    def __init__(self, inner: nn.Module, by: float) -> None:
        super().__init__()
        self.inner, self.by = inner, by

    def forward(self, images):
        return self.inner(images) * self.by


class Scale:
    def __init__(self, by: float = 1.0) -> None:
        self.by = by

    @nas.hookimpl(wrapper=True)
    def build(self, run: nas.TrialRun):
        return Scaled((yield), self.by)


class Broken:
    @nas.hookimpl
    def cost(self, candidate: nas.Candidate) -> dict[str, float]:
        raise ValueError("cannot price this")


class Thief:
    @nas.hookimpl
    def cost(self, candidate: nas.Candidate) -> dict[str, float]:
        return {"params": 0.0}


class Norm:
    needs_trained_weights = True

    @nas.hookimpl
    def cost(self, candidate: nas.Candidate) -> dict[str, float]:
        assert candidate.trained
        return {"norm": sum(weight.norm().item() for weight in candidate.network.parameters())}


class After:
    def __init__(self, epochs: int = 2) -> None:
        self.epochs = epochs

    @nas.hookimpl
    def should_prune(self, run: nas.TrialRun, measurement: nas.Measurement) -> str | None:
        assert len(run.measurements) == measurement.step - 1
        return "enough" if measurement.step >= self.epochs else None
