"""Ablation beside the truth, a script by hand, the clock and `kill -9`; and real studies.

python benchmarks/ablation.py truth      # a planted truth; 15 trials with stable names; a script by hand
python benchmarks/ablation.py clock      # k workers on trials that sleep; workers and drivers that are killed
python benchmarks/ablation.py studies    # a table, the modalities of a segmentation
python benchmarks/ablation.py timm cifar10_jpeg.npz    # a network of timm
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from _ablation_modules import SLEEPING, TITANIC
from _record import record
from nasplug_ablation import AblationReport, AblationStudy
from nasplug_ablation.planted import ENTRIES, Planted, PlantedData
from nasplug_ablation.strategies.ablator import INFO

import nasplug as nas

NOTE = "no GPU; two cores shared with other work"
SLEEP, WORKERS = 6.0, (1, 2, 4)


# -- the truth ---------------------------------------------------------------------------------------------------------


def planted(seeds: int = 5) -> dict[str, Any]:
    """A network with a useless and a needed branch, data with a useless and a needed feature."""
    study = AblationStudy(Planted, PlantedData, components=ENTRIES, seeds=seeds, epochs=4)
    report = study.run()
    wanted = {"net.needed": "helps", "feature needed": "helps"}
    found = {effect.name: effect.verdict for effect in report.effects}
    right = {name: found[name] == wanted.get(name, "within noise") for name in found}
    return {
        "seeds": list(study.seeds),
        "verdicts": found,
        "right": sum(right.values()),
        "of": len(right),
        **report.json(),
    }


def titanic() -> dict[str, Any]:
    """Five layers, two groups, six features, one variant of one's own, and the base."""
    study = AblationStudy(
        "_ablation_modules:titanic", "_ablation_modules:passengers", components=TITANIC, seeds=1, epochs=5
    )
    first, second = study.plan(), study.plan()
    command = [sys.executable, __file__, "ids"]
    elsewhere = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    ids = [trial.ids[0] for trial in first.trials]
    done = study.run().study.trials
    recorded = [trial.proposal.info[INFO]["id"] for trial in done]  # type: ignore[call-overload, index]
    return {
        "trials": len(done),
        "complete": sum(trial.state == "complete" for trial in done),
        "ids": dict(zip([trial.label for trial in first.trials], ids, strict=True)),
        "same_in_another_process": json.loads(elsewhere.stdout.splitlines()[-1]) == ids,
        "same_again": [trial.ids[0] for trial in second.trials] == ids,
        "same_in_the_study": recorded == ids,
    }


def print_ids() -> None:
    """Names of the fifteen trials, for another process."""
    study = AblationStudy("_ablation_modules:titanic", "_ablation_modules:passengers", components=TITANIC, seeds=1)
    print(json.dumps([trial.ids[0] for trial in study.plan().trials]))


class Zero(torch.nn.Module):
    """What a person writes for a branch that is left out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns zeros (N, 8)."""
        return torch.zeros(len(x), 8)


def by_hand(name: str, seed: int, epochs: int) -> float:
    """One training as a person writes it, without this package."""
    torch.manual_seed(seed)
    module, data = Planted(), PlantedData()
    if name.startswith("net."):
        setattr(module.net, name.removeprefix("net."), Zero())
    if name.startswith("feature "):
        index = PlantedData.feature_names.index(name.removeprefix("feature "))
        for part in (data.train_set, data.val_set):
            x, y = part.tensors
            part.tensors = (x.index_fill(1, torch.tensor([index]), 0.0), y)
    if name == "loss penalty":
        module.penalty = 0.0
    options: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = pl.Trainer(
        max_epochs=epochs, num_sanity_val_steps=0, enable_model_summary=False, accelerator="cpu", **options
    )
    torch.manual_seed(seed)
    trainer.fit(module, datamodule=data)
    return float(trainer.callback_metrics["val_acc"])


def beside_a_script(seeds: int = 2, epochs: int = 3) -> dict[str, Any]:
    """The same trials by hand, in one process and one after the other."""
    results = AblationStudy(Planted, PlantedData, components=ENTRIES, seeds=seeds, epochs=epochs).run().results
    compared = [
        (value, by_hand(names[0] if names else "", seed, epochs))
        for names in results.variants
        for seed, value in results.values(names).items()
    ]
    return {"trials": len(compared), "identical": sum(ours == theirs for ours, theirs in compared)}


# -- the clock ---------------------------------------------------------------------------------------------------------


def sleeping(seconds: float) -> AblationStudy:
    """Sixteen trials that sleep."""
    return AblationStudy(
        "_ablation_modules:Sleeper",
        "_ablation_modules:few",
        module_args={"seconds": seconds},
        components=SLEEPING,
        seeds=2,
        epochs=1,
    )


class Clock(nas.Tracker):
    """Seconds from the first trial that is handed out to the last one that is observed."""

    def __init__(self) -> None:
        self.begin = self.end = 0.0

    def submitted(self, trial: nas.Trial) -> None:
        """Starts with the first one."""
        self.begin = self.begin or time.perf_counter()

    def observed(self, trial: nas.Trial) -> None:
        """Ends with the last one."""
        self.end = time.perf_counter()


def speed() -> dict[str, Any]:
    """Trials that sleep on 1, 2 and 4 workers."""
    seconds: dict[int, float] = {}
    for workers in WORKERS:
        clock = Clock()
        sleeping(SLEEP).run(workers=workers, executor="process", trackers=[clock])
        seconds[workers] = clock.end - clock.begin
        print(workers, seconds[workers], flush=True)
    gains = {str(k): seconds[1] / seconds[k] for k in WORKERS}
    return {
        "trials": 16,
        "sleep": SLEEP,
        "seconds": {str(k): round(value, 2) for k, value in seconds.items()},
        "speed_up": gains,
        "per_worker": {k: gain / int(k) for k, gain in gains.items()},
    }


def descendants(pid: int) -> list[int]:
    """Processes below one, and below those."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(stat.parent.name), *descendants(int(stat.parent.name))]
    return found


def killed(what: str) -> dict[str, Any]:
    """Kills a worker, or the driver, in the middle of a study, and goes on."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "killed.sqlite")
        command = [sys.executable, __file__, "sleep", path]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = _wait_for(path, 3)
        if what == "driver":
            driver.kill()
        else:
            workers = [pid for pid in descendants(driver.pid) if not descendants(pid) and _is_worker(pid)]
            os.kill(workers[-1], signal.SIGKILL)
        driver.wait()
        middle = len(_finished(path))
        code = driver.returncode
        if what == "driver":
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        report = AblationReport(nas.load_study(path, trust=True))
        undisturbed = sleeping(0.0).run()
        return {
            "finished_before": before,
            "finished_after_the_kill": middle,
            "exit_code_of_the_driver": code,
            "trials": len(report.study.trials),
            "complete": sum(trial.state == "complete" for trial in report.study.trials),
            "same_results": report.json()["effects"] == undisturbed.json()["effects"],
        }


def _is_worker(pid: int) -> bool:
    return b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def _finished(path: str) -> list[int]:
    try:
        return [trial.number for trial in nas.load_study(path, trust=True).trials if trial.finished]
    except nas.NasplugError:
        return []


def _wait_for(path: str, count: int) -> int:
    while len(_finished(path)) < count:
        time.sleep(0.2)
    return len(_finished(path))


# -- real studies ------------------------------------------------------------------------------------------------------


def real() -> None:
    """Two small studies of real kinds of networks and data, each recorded when it is done."""
    studies = {
        "perceptron, wine": AblationStudy("_ablation_modules:mlp", "_ablation_modules:rows", epochs=6, seeds=3)
        .features()
        .type("Dropout", together=True)
        .type("BatchNorm1d", together=True)
        .span("net.4", "net.5", name="second layer")
        .hyperparameter("weight_decay", 0.0),
        "monai UNet, four modalities": AblationStudy(
            "_ablation_modules:unet", "_ablation_modules:volumes", metric="val_dice", epochs=3, seeds=3
        )
        .features()
        .feature("t1", mode="drop")
        .feature(["flair", "t2"], name="flair and t2"),
    }
    found: dict[str, Any] = {}
    for name, study in studies.items():
        started = time.perf_counter()
        report = study.run()
        print(name, report, sep="\n", flush=True)
        found[name] = {"epochs": study.epochs, "seconds": round(time.perf_counter() - started, 1), **report.json()}
        record("ablation_studies", {"seeds": [0, 1, 2], "note": NOTE, "studies": found}, packages=("monai",))


def of_timm(data: str, seeds: int = 5, epochs: int = 4) -> AblationStudy:
    """The parts of a residual network of timm, the colours of its images and its weight decay.

    Args:
        data: Path of CIFAR-10 (JPEG).
        seeds: Number of seeds.
        epochs: Epochs of every training.
    """
    return (
        AblationStudy(
            "_ablation_modules:resnet",
            "_ablation_modules:images",
            data_args={"path": data},
            epochs=epochs,
            seeds=seeds,
            features={"names": ["red", "green", "blue"], "axis": 1},
        )
        .module("net.layer1")
        .module("net.layer2")
        .module("net.layer3")
        .module("net.layer4")
        .module("net.maxpool")
        .group("net.layer*.*.bn2", name="second norms")
        .feature(["red", "blue"], name="all but green")
        .hyperparameter("weight_decay", 0.0)
    )


def record_timm(data: str) -> None:
    """Trains the study of a network of timm, and records it."""
    study = of_timm(data)
    print(study.plan(), flush=True)
    started = time.perf_counter()
    report = study.run()
    print(report, flush=True)
    found = report.json()
    verdicts = Counter(effect["verdict"] for effect in found["effects"])
    result = {
        "data": "CIFAR-10 (JPEG), the first 2,000 images for training and the next 1,000 for validation",
        "network": "timm test_resnet",
        "seeds": list(study.seeds),
        "note": NOTE,
        "epochs": study.epochs,
        "seconds": round(time.perf_counter() - started, 1),
        "trials": len(report.study.trials),
        "verdicts": dict(verdicts),
        "by_name": {effect["name"]: effect for effect in found["effects"]},
        **found,
    }
    record("ablation_timm", result, packages=("timm",))


def main() -> None:
    """Runs one part and records it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("truth", "clock", "kills", "studies", "timm", "sleep", "ids"))
    parser.add_argument("file", nargs="?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part == "ids":
        print_ids()
    elif arguments.part == "sleep":
        sleeping(1.0).run(workers=2, storage=arguments.file)
    elif arguments.part == "timm":
        record_timm(arguments.file)
    elif arguments.part == "truth":
        result = {"planted": planted(), "titanic": titanic(), "script_by_hand": beside_a_script()}
        record("ablation_truth", {"seeds": [0, 1, 2, 3, 4], "note": NOTE, **result})
    elif arguments.part == "clock":
        record("ablation_clock", {"seeds": [0, 1], "note": NOTE, **speed()})
    elif arguments.part == "kills":
        record(
            "ablation_kills", {"seeds": [0, 1], "note": NOTE, **{what: killed(what) for what in ("worker", "driver")}}
        )
    else:
        real()


if __name__ == "__main__":
    main()
