"""What people would do with a folder of images and some minutes: the arms of `auto.py`, each in a process of its own.

All arms train by the same task (split, augmentation, AdamW, one cycle) on the same images, so that they differ in the
network, the learning rate and where the time goes. Called as `_auto_arms.py ARM FOLDER SECONDS SEED OUT`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
#: Of timm, what a person with little time would try; the first that comes to most minds is the default.
DEFAULT = "resnet18"
MODELS = ("resnet10t", "resnet14t", "resnet18", "mobilenetv3_small_050", "mobilenetv3_small_100", "regnetx_002")
LR = (1e-3, 2e-2)


def auto(folder: str, seconds: float, seed: int, out: Path, *, strategy: str | None = None) -> dict[str, Any]:
    """`nasplug auto`, or the same with another strategy."""
    from nasplug.auto.looking import look
    from nasplug.auto.planning import plan
    from nasplug.cli.auto import carry_out, ending
    from nasplug.cli.retrain import RESULT
    from nasplug.plugins.component import Component
    from nasplug.plugins.discovery import discover

    catalog = discover().catalog
    out.mkdir(parents=True, exist_ok=True)
    made = plan(look(folder), catalog, minutes=seconds / 60, workers=1, seed=seed, storage=str(out / "study.sqlite"))
    if strategy is not None:
        made = dataclasses.replace(made, spec=made.spec.replace(strategy=Component(strategy)))
    carry_out(made, catalog, out, ending(BEGAN, seconds / 60), as_json=True)
    result = json.loads((out / "network" / RESULT).read_text())
    import nasplug as nas

    study = nas.load_study(out / "study.sqlite")
    return {
        "test_acc": result["test"]["test_acc"],
        "val_acc": result["validation"]["val_acc"],
        "params": result["costs"]["params"],
        "network": result["label"],
        "epochs": result["epochs"],
        "trainings": len(study.trials),
    }


class Peers:
    """Trainings of timm's models by the task of the plan."""

    def __init__(self, folder: str, seconds: float, seed: int) -> None:
        import torch

        from nasplug.auto.choosing import task_of
        from nasplug.auto.looking import look
        from nasplug.auto.speed import Speed
        from nasplug.plugins.discovery import discover
        from nasplug.run.spec import RunSpec

        torch.set_num_threads(1)
        catalog = discover().catalog
        looked = look(folder)
        spec = RunSpec.parse(
            {
                "task": task_of(looked),
                "space": {"timm": {"models": list(MODELS)}},
                "objectives": {"val_acc": "max"},
                "budget": {"trials": 1, "epochs": 1},
            }
        )
        self.speed = Speed(spec, catalog)
        self.task = self.speed.task
        self.data = self.task.datamodule()
        self.seconds, self.seed = seconds, seed

    def per_epoch(self, model: str) -> float:
        """Seconds of an epoch, with validation."""
        return 1.15 * self.speed({"timm": {"models": [model]}}, 1)

    def train(self, model: str, lr: float, epochs: int, report: Any = None, test: bool = False) -> dict[str, Any]:
        """Trains a model, and tests it if that is asked for."""
        import pytorch_lightning as pl

        from nasplug.spaces.timm import create

        pl.seed_everything(self.seed, verbose=False)
        network = create(model, self.task.input_shape, self.task.outputs)
        module = self.task.module(network, {"lr": lr})
        best = {"val_acc": 0.0}

        class Report(pl.Callback):
            def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
                value = float(trainer.callback_metrics["val_acc"])
                best["val_acc"] = max(best["val_acc"], value)
                if report is not None:
                    report(value, trainer.current_epoch)

        with tempfile.TemporaryDirectory() as scratch:
            keep = pl.callbacks.ModelCheckpoint(scratch, monitor="val_acc", mode="max")
            trainer = pl.Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                callbacks=[Report(), keep] if test else [Report()],
                enable_checkpointing=test,
                enable_progress_bar=False,
                enable_model_summary=False,
                logger=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(module, datamodule=self.data)
            answer: dict[str, Any] = {**best, "network": model, "lr": lr, "epochs": epochs}
            if test:
                import torch

                module.load_state_dict(torch.load(keep.best_model_path, weights_only=True)["state_dict"])
                (tested,) = trainer.test(module, datamodule=self.data, verbose=False)
                answer["test_acc"] = float(tested["test_acc"])
                answer["params"] = sum(each.numel() for each in network.parameters())
        return answer

    def left(self, part: float = 0.93) -> float:
        """Seconds until this part of the time is over."""
        return BEGAN + part * self.seconds - time.monotonic()

    def fully(self, model: str, lr: float) -> dict[str, Any]:
        """A training for all the time that is left."""
        return self.train(model, lr, max(1, int(self.left() / self.per_epoch(model))), test=True)


def timm_default(folder: str, seconds: float, seed: int, out: Path) -> dict[str, Any]:
    """One ResNet-18 for all the time."""
    return {**Peers(folder, seconds, seed).fully(DEFAULT, 1e-3), "trainings": 0}


def optuna_timm(folder: str, seconds: float, seed: int, out: Path) -> dict[str, Any]:
    """Optuna's TPE over models of timm and the learning rate, its median pruner, and the best trained again."""
    import statistics

    import optuna

    from nasplug.auto.planning import SEARCH, WORTH

    peers = Peers(folder, seconds, seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    typical = statistics.median(peers.per_epoch(model) for model in MODELS)
    epochs = max(1, min(27, int(SEARCH * seconds / WORTH / typical)))

    def objective(trial: optuna.Trial) -> float:
        def report(value: float, epoch: int) -> None:
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        model = trial.suggest_categorical("model", MODELS)
        lr = trial.suggest_float("lr", *LR, log=True)
        return float(peers.train(model, lr, epochs, report)["val_acc"])

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, timeout=SEARCH * seconds)
    best = study.best_params
    return {**peers.fully(best["model"], best["lr"]), "trainings": len(study.trials)}


ARMS = {
    "auto": auto,
    "random": lambda *given: auto(*given, strategy="random"),
    "optuna_timm": optuna_timm,
    "timm_default": timm_default,
}

if __name__ == "__main__":
    arm, where, limit, number, result = sys.argv[1:]
    answer = ARMS[arm](where, float(limit), int(number), Path(result))
    Path(result).mkdir(parents=True, exist_ok=True)
    (Path(result) / "answer.json").write_text(json.dumps(answer | {"seconds": time.monotonic() - BEGAN}))
