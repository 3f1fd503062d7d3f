"""Continuous growth and pruning, in a Trainer of one's own and in a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from nasplug_cgap.growth.callback import EDITS, TORCH, Growing
from nasplug_cgap.growth.plugin import CGaP
from nasplug_cgap.growth.refusals import refuse
from nasplug_cgap.growth.settings import Growth, Pruning, Settings
from nasplug_cgap.growth.steps import changing, silence, silent_share
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError
from nasplug.run.spec import RunSpec
from nasplug.surgery import Surgery, repeat

SHAPE = (1, 8, 8)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


class Module(pl.LightningModule):
    """Somebody's own module."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()
        self.example_input_array = torch.zeros(1, *SHAPE)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.network(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("val_loss", self.training_step(batch, index))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(64, *SHAPE, generator=generator)
        y = x.mean((1, 2, 3)).argsort().argsort() // 16
        return DataLoader(TensorDataset(x, y), batch_size=16)


def trainer(folder: Path, epochs: int, *callbacks: object, **options: object) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        callbacks=list(callbacks),  # type: ignore[arg-type]
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **options,  # type: ignore[arg-type]
    )


def plugin(**settings: object) -> CGaP:
    growth = Growth(seed=0.25, capacity=0.9, every=0.5, until=0.4)
    return CGaP(**{"growth": growth, "pruning": Pruning(keep=0.3, weights=0.5, every=0.5), **settings})  # type: ignore[arg-type]


def growing(plugins: nas.Plugins) -> Growing:
    return next(item for item in plugins.callbacks if isinstance(item, Growing))


def test_a_network_starts_small_grows_and_ends_small_and_dense(tmp_path: Path) -> None:
    reference = sum(value.numel() for value in network().parameters())
    sizes: list[tuple[str, int]] = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
            sizes.append((callback.phase, sum(value.numel() for value in module.parameters())))

    module, plugins = Module(), nas.Plugins(plugin())
    callback = growing(plugins)
    trainer(tmp_path, 8, plugins, Watch()).fit(module)
    grown = [size for phase, size in sizes if phase in ("grow", "prune")]
    assert sizes[0][1] < 0.25 * reference
    assert sizes[0][1] < max(grown) <= 0.9 * reference
    assert sizes[-1][1] <= 0.3 * reference
    assert callback.phase == "done"
    assert all((value != 0).all() for value in module.network.parameters() if value.ndim > 1), "nothing stays silent"
    again = repeat(network(), callback.edits)
    again.load_state_dict(module.network.state_dict())
    x = torch.randn(3, *SHAPE)
    assert torch.equal(again.eval()(x), module.network.eval()(x))


def test_training_work_is_that_of_the_networks_that_were_trained(tmp_path: Path) -> None:
    module, plugins = Module(), nas.Plugins(plugin())
    callback = growing(plugins)
    seen: list[float] = []

    class Count(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
            from nasplug.cost.counts import count_macs

            seen.append(6.0 * 16 * count_macs(module.network, SHAPE))  # type: ignore[arg-type]

    trainer(tmp_path, 4, plugins, Count()).fit(module)
    assert callback.train_flops == pytest.approx(sum(seen))
    assert len(set(seen)) > 2


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_checkpoint_resumes_in_every_phase(tmp_path: Path, at: int) -> None:
    whole = Module()
    trainer(tmp_path / "whole", 6, nas.Plugins(plugin())).fit(whole)

    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= at

    first = trainer(tmp_path / "first", 6, nas.Plugins(plugin()), Stop(), min_epochs=1)
    first.fit(Module())
    first.save_checkpoint(tmp_path / "last.ckpt")
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept[EDITS]
    module, plugins = Module(), nas.Plugins(plugin())
    trainer(tmp_path / "second", 6, plugins).fit(module, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    mine, theirs = module.state_dict(), whole.state_dict()
    assert {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], msg=name)


def test_limits_in_any_size_end_growth(tmp_path: Path) -> None:
    from nasplug.cost.counts import count_macs

    most = 0.5 * count_macs(network(), SHAPE)
    module = Module()
    growth = Growth(seed=0.25, capacity={"macs": most}, every=0.25, until=0.9)
    trainer(tmp_path, 3, nas.Plugins(CGaP(growth=growth, pruning=Pruning(until=1.0, weights=0.0)))).fit(module)
    assert 0.6 * most < count_macs(module.network, SHAPE) <= most


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"growth": Growth(seed=0.9, capacity=0.1)}, "capacity is below the seed"),
        ({"growth": Growth(capacity={"watts": 1.0})}, "nothing measures 'watts'"),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    tmp_path: Path, settings: Mapping[str, Growth], message: str
) -> None:
    module = Module()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(SpecError, match=message):
        trainer(tmp_path, 2, nas.Plugins(plugin(**settings))).fit(module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_averaged_weights_and_missing_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="keeps a copy of the weights"):
        trainer(tmp_path, 2, nas.Plugins(plugin()), pl.callbacks.StochasticWeightAveraging(0.1)).fit(Module())
    module = Module()
    module.example_input_array = None
    with pytest.raises(SpecError, match="inputs of the network are not known"):
        trainer(tmp_path, 2, nas.Plugins(plugin())).fit(module)


def test_a_checkpoint_of_another_torch_or_structure_is_not_taken_in_silence(tmp_path: Path) -> None:
    first = trainer(tmp_path, 3, nas.Plugins(plugin()))
    first.fit(Module())
    first.save_checkpoint(tmp_path / "last.ckpt")
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.save({**kept, TORCH: "1.0"}, tmp_path / "old.ckpt")
    module, callbacks = Module(), nas.Plugins(plugin())
    with pytest.warns(UserWarning, match=r"written with torch 1\.0"):
        trainer(tmp_path, 4, callbacks).fit(module, ckpt_path=tmp_path / "old.ckpt", weights_only=True)
    torch.save({**kept, EDITS: kept[EDITS][:-1]}, tmp_path / "other.ckpt")
    with pytest.raises(SpecError, match="of structure, and the network"):
        trainer(tmp_path, 5, callbacks).fit(module, ckpt_path=tmp_path / "other.ckpt", weights_only=True)


def test_a_grown_checkpoint_is_read_for_validation(tmp_path: Path) -> None:
    first, module = trainer(tmp_path, 3, nas.Plugins(plugin())), Module()
    first.fit(module)
    first.save_checkpoint(tmp_path / "last.ckpt")
    fresh = Module()
    trainer(tmp_path, 3, nas.Plugins(plugin())).validate(
        fresh, fresh.train_dataloader(), ckpt_path=tmp_path / "last.ckpt", weights_only=True, verbose=False
    )
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, module.state_dict()[name]), name


@pytest.mark.parametrize(("processes", "strategy"), [(2, "SingleDeviceStrategy"), (1, "DDPStrategy")])
def test_several_processes_are_refused(processes: int, strategy: str) -> None:
    known = type(strategy, (), {})()
    with pytest.raises(SpecError, match="trains in one process") as refused:
        refuse(SimpleNamespace(world_size=processes, strategy=known, callbacks=[]))  # type: ignore[arg-type]
    assert strategy in str(refused.value)


class ByValue(nn.Module):
    """Its way depends on the numbers inside."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(images)
        return logits if logits.sum() > 0 else -logits


@pytest.mark.parametrize(
    ("given", "why"), [(ByValue(), "does not run"), (nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), "can grow")]
)
def test_networks_that_cannot_be_followed_or_grow_are_refused(tmp_path: Path, given: nn.Module, why: str) -> None:
    module = Module()
    module.network = given
    before = {name: value.clone() for name, value in given.state_dict().items()}
    with pytest.raises(NasplugError, match=why) as refused:
        trainer(tmp_path, 2, nas.Plugins(plugin())).fit(module)
    assert "Do: " in str(refused.value) or "\n" in str(refused.value)
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())


def test_layers_that_others_exchange_meanwhile_are_refused(tmp_path: Path) -> None:
    class Exchange(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                module.network[1] = nn.Identity()  # type: ignore[index,operator]

    with pytest.raises(SpecError, match="exchanged while it still"):
        trainer(tmp_path, 6, nas.Plugins(plugin()), Exchange()).fit(Module())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Growth(seed=0.0), "seed lies above 0"),
        (lambda: Growth(noise=0.0), "stay copies for ever"),
        (lambda: Growth(capacity=-1.0), "capacity is a share"),
        (lambda: Pruning(keep={}), "keep is a share"),
        (lambda: Settings(Growth(until=0.8), Pruning(until=0.5)), "before growth does"),
    ],
)
def test_settings_are_checked(make: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make()  # type: ignore[operator]


def test_the_least_salient_weights_fall_silent() -> None:
    net = network()
    for value in net.parameters():
        value.grad = torch.ones_like(value)
    groups = changing(Surgery(net, SHAPE), Settings())
    masks = silence(net, groups, 0.25)
    weight = net[3].weight.detach()
    mask = masks["3.weight"].bool()
    assert (~mask).sum() == weight.numel() // 4
    assert weight[~mask].abs().max() <= weight[mask].abs().min()
    with torch.no_grad():
        net[3].weight[5] = 0
    shares = silent_share(net, next(group for group in groups if group.name == "3"))
    assert shares[5] == 1.0
    assert shares[[0, 1, 2]].max() == 0.0


@pytest.fixture
def spec(tmp_path: Path) -> Mapping[str, object]:
    return {
        "space": {"timm": {"models": ["resnet10t"]}},
        "task": {"image_classification": {"limit": 60, "batch_size": 20, "training": {"lr": 0.01}}},
        "callbacks": [
            {
                "cgap": {
                    "growth": {"seed": 0.125, "capacity": 0.3, "every": 0.5},
                    "pruning": {"keep": 0.05, "every": 0.5},
                }
            }
        ],
        "strategy": "random",
        "objectives": {"val_acc": "max", "params": "min"},
        "budget": {"trials": 1, "epochs": 3},
        "run": {"seed": 0, "storage": str(tmp_path / "study.sqlite")},
    }


def test_a_trial_knows_the_network_that_it_ended_with(spec: Mapping[str, object]) -> None:
    study = nas.run_spec(RunSpec.parse(spec))
    trial = study.trials[0]
    assert trial.state == "complete", trial.failure
    assert next(edit["do"] for edit in trial.edits) == "remove"
    assert {edit["do"] for edit in trial.edits} == {"remove", "split"}
    built = study.network(trial)
    assert sum(value.numel() for value in built.parameters()) == trial.costs["params"]
    assert trial.costs["params"] == trial.measurements[-1].metrics["cgap/params"]
    path = study.report(Path(str(spec["run"]["storage"])).with_suffix(".html"))  # type: ignore[index]
    assert "Growth and pruning of trial 0" in path.read_text()
