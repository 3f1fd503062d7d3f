"""Plugins with hooks: what a worker's run and a candidate give."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import assert_type

from pytorch_lightning import Callback, LightningDataModule
from torch import Tensor, nn

import nasplug as nas


class Halves:
    @nas.hookimpl(wrapper=True)
    def build(self, run: nas.TrialRun) -> Generator[None, nn.Module, nn.Module]:
        network = yield
        assert_type(network, nn.Module)
        return network.half()

    @nas.hookimpl
    def inherit(self, run: nas.TrialRun, network: nn.Module, weights: Mapping[str, Tensor]) -> bool | None:
        assert_type(run.parent, nas.Trial | None)
        return None

    @nas.hookimpl
    def edit(self, network: nn.Module, edit: nas.JsonObject) -> nn.Module | None:
        width = edit["width"]
        network.append(nn.Linear(width, width))  # type: ignore[operator, arg-type]
        return network if isinstance(width, int) else None

    @nas.hookimpl
    def configure_callbacks(self, run: nas.TrialRun) -> Sequence[Callback]:
        assert_type(run.network, nn.Module)
        assert_type(run.data(), LightningDataModule)
        assert_type(run.callbacks(), list[Callback])
        run.edit({"by": "halves", "layers": [1, 2]})
        run.edit({"by": run.network})  # type: ignore[dict-item]
        return [Callback()]

    @nas.hookimpl
    def cost(self, candidate: nas.Candidate, target: nas.HardwareTarget | None) -> Mapping[str, float]:
        assert_type(candidate.network, nn.Module)
        candidate.network = nn.Identity()
        if target is not None:
            assert_type(target.estimate(candidate), Mapping[str, float])
            target.name = "cpu"  # type: ignore[misc]
        return {"halves": float(sum(item.numel() for item in candidate.network.parameters()))}

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        reason = run.report(nas.Measurement(1, {"val_acc": 0.5}))
        assert_type(reason, str | None)
        run.report({"val_acc": 0.5})  # type: ignore[arg-type]
        nas.Evaluation({"val_acc": "high"})  # type: ignore[dict-item]
        return nas.Evaluation({"val_acc": 0.5}, network=run.network, pruned=reason)


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.cost("halves", "package.module:Halves", summary="Half the numbers.")
    catalog.cost("halves", Halves)  # type: ignore[arg-type]
