"""What the framework itself costs: per trial, at import, and around a Lightning training.

Everything is measured beside its opponent in one run, in alternating rounds, and reported as the median of the
rounds' ratios, since machines are noisy.

* `random_memory`, `random_sqlite`: random search over six choices of five options, the objective a sum, so that all
  time is the framework's. Opponents: Optuna's RandomSampler in memory (and in SQLite), pymoo's NSGA-II per
  evaluation.
* `imports`: wall time of `import nasplug`, `nasplug --help` and `nasplug plugins`, beside `import optuna`, each in a
  fresh interpreter; and whether torch was loaded.
* `lightning`: one training through `LightningEvaluator` inside a search, beside the same `Trainer.fit` by hand.

Run: python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _record import record

import nasplug as nas

OPTIONS = ("a", "b", "c", "d", "e")
EDGES = 6


class Cell(nas.ChoiceSpace):
    """The shape of NAS-Bench-201's cell: six edges, five operations."""

    def __init__(self) -> None:
        super().__init__("cell", [nas.Choice(f"edge{i}", OPTIONS) for i in range(EDGES)])

    def build(self, architecture: nas.Architecture, task: Any) -> Any:
        """Never asked for."""
        raise AssertionError


class Sum:
    """An objective that costs nothing."""

    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        """Counts the first option."""
        return nas.Evaluation({"score": float(run.trial.architecture.genotype.count("a"))})


def nasplug_random(trials: int, storage: str | None = None) -> float:
    started = time.perf_counter()
    study = nas.search(space=Cell(), evaluator=Sum(), trials=trials, storage=storage, progress=False)
    assert len(study.trials) == trials
    return time.perf_counter() - started


def optuna_random(trials: int, storage: str | None = None) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        return float(sum(trial.suggest_categorical(f"edge{i}", OPTIONS) == "a" for i in range(EDGES)))

    started = time.perf_counter()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize", storage=storage)
    study.optimize(objective, n_trials=trials)
    assert len(study.trials) == trials
    return time.perf_counter() - started


def pymoo_nsga2(trials: int) -> float:
    import numpy as np
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Problem(ElementwiseProblem):
        def __init__(self) -> None:
            super().__init__(n_var=EDGES, n_obj=1, xl=0, xu=len(OPTIONS) - 1, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict, *args: Any, **kwargs: Any) -> None:
            out["F"] = -float((x == 0).sum())

    started = time.perf_counter()
    minimize(
        Problem(),
        NSGA2(pop_size=20, sampling=IntegerRandomSampling(), eliminate_duplicates=False),
        ("n_eval", trials),
        seed=0,
    )
    return time.perf_counter() - started


def per_trial(rounds: int, trials: int, folder: Path) -> dict[str, Any]:
    """Milliseconds per trial of every contestant, in alternating rounds."""
    contestants = {
        "nasplug_memory": lambda i: nasplug_random(trials),
        "nasplug_sqlite": lambda i: nasplug_random(trials, str(folder / f"n{i}.sqlite")),
        "optuna_memory": lambda i: optuna_random(trials),
        "pymoo_nsga2": lambda i: pymoo_nsga2(trials),
    }
    for run in contestants.values():
        run(-1)  # imports and caches
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds):
        for name, run in contestants.items():
            gc.collect()
            times[name].append(run(i) / trials * 1e3)
    # Optuna's SQLite storage is two orders slower: one short round says enough.
    short = min(trials, 200)
    optuna_sqlite = optuna_random(short, f"sqlite:///{folder / 'o.db'}") / short * 1e3

    def ratio(name: str, base: str = "optuna_memory") -> float:
        return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))

    return {
        "trials": trials,
        "rounds": rounds,
        "ms_per_trial": {name: statistics.median(values) for name, values in times.items()},
        "ms_per_trial_all": times,
        "optuna_sqlite_ms_per_trial": optuna_sqlite,
        "ratio_memory_to_optuna_memory": ratio("nasplug_memory"),
        "ratio_sqlite_to_optuna_memory": ratio("nasplug_sqlite"),
        "ratio_memory_to_pymoo": ratio("nasplug_memory", "pymoo_nsga2"),
    }


def imports(rounds: int) -> dict[str, Any]:
    """Wall seconds of fresh interpreters, the empty interpreter subtracted."""
    commands = {
        "empty": [sys.executable, "-c", "pass"],
        "import nasplug": [sys.executable, "-c", "import nasplug"],
        "import optuna": [sys.executable, "-c", "import optuna"],
        "nasplug --help": [sys.executable, "-m", "nasplug.cli", "--help"],
        "nasplug plugins": [sys.executable, "-m", "nasplug.cli", "plugins"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if round_:
                times[name].append(time.perf_counter() - started)
    net = {
        name: statistics.median(a - b for a, b in zip(times[name], times["empty"], strict=True))
        for name in commands
        if name != "empty"
    }
    torch = {
        name: _loads_torch(arguments)
        for name, arguments in {"nasplug --help": ["--help"], "nasplug plugins": ["plugins"]}.items()
    }
    return {
        "rounds": rounds,
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "seconds_above_empty_interpreter": net,
        "ratio_import_to_optuna": statistics.median(
            (a - e) / (b - e)
            for a, b, e in zip(times["import nasplug"], times["import optuna"], times["empty"], strict=True)
        ),
        "loads_torch": torch,
    }


def _loads_torch(arguments: list[str]) -> bool:
    code = (
        "import sys\nfrom nasplug.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit(1 if 'torch' in sys.modules else 0)"
    )
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode != 0


def lightning(rounds: int) -> dict[str, Any]:
    """Seconds of a training through the evaluator and by hand: same network, module, data, seeds and epochs."""
    import pytorch_lightning as pl
    import torch

    from nasplug.ledger.rng import derived_seed
    from nasplug.run.seeding import seed_everything

    torch.set_num_threads(1)

    class Space(nas.ChoiceSpace):
        def __init__(self) -> None:
            super().__init__("widths", [nas.Choice("width", (16, 32))])

        def build(self, architecture: nas.Architecture, task: Any) -> torch.nn.Module:
            width = architecture.genotype[0]
            return torch.nn.Sequential(
                torch.nn.Conv2d(1, width, 3, padding=1),
                torch.nn.BatchNorm2d(width),
                torch.nn.ReLU(),
                torch.nn.Conv2d(width, width, 3, padding=1),
                torch.nn.ReLU(),
                torch.nn.AdaptiveAvgPool2d(1),
                torch.nn.Flatten(),
                torch.nn.Linear(width, task.outputs),
            )

    space, epochs, trials = Space(), 5, 4
    genotypes = [(16,), (32,)] * (trials // 2)

    def searched() -> tuple[float, float]:
        task = nas.ImageClassification()
        started = clocks()
        study = nas.search(
            task, space=space, enqueue=genotypes, trials=trials, epochs=epochs, remeasure=True, progress=False
        )
        spent = since(started)
        assert all(trial.state == "complete" for trial in study.trials), [trial.failure for trial in study.trials]
        return spent

    def by_hand() -> tuple[float, float]:
        task = nas.ImageClassification()
        started = clocks()
        for number, genotype in enumerate(genotypes):
            seed_everything(derived_seed(0, "trial", number))
            module = task.module(space.build(space.architecture(genotype), task), {})
            trainer = pl.Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                devices=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(module, datamodule=task.datamodule())
        return since(started)

    searched(), by_hand()
    pairs = []
    for round_ in range(rounds):  # who goes first alternates, since machines drift
        first = searched() if round_ % 2 else None
        hand = by_hand()
        pairs.append((first or searched(), hand))
    return {
        "rounds": rounds,
        "trainings_per_round": trials,
        "epochs": epochs,
        "data": "scikit-learn digits",
        "seconds_searched": statistics.median(a[0] for a, _ in pairs),
        "seconds_by_hand": statistics.median(b[0] for _, b in pairs),
        "seconds_wall_and_cpu_all": pairs,
        "ratio": statistics.median(a[0] / b[0] for a, b in pairs),
        "ratio_of_totals": sum(a[0] for a, _ in pairs) / sum(b[0] for _, b in pairs),
        "ratio_cpu_time": statistics.median(a[1] / b[1] for a, b in pairs),
    }


def clocks() -> tuple[float, float]:
    """Wall and CPU seconds."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """Wall and CPU seconds since `start`."""
    wall, cpu = clocks()
    return wall - start[0], cpu - start[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "seeds": [0],
            "per_trial": per_trial(arguments.rounds, arguments.trials, Path(folder)),
            "imports": imports(arguments.rounds),
            "lightning": lightning(2 * arguments.rounds),
        }
    for part, key in (
        ("per_trial", "ratio_memory_to_optuna_memory"),
        ("per_trial", "ratio_sqlite_to_optuna_memory"),
        ("per_trial", "ratio_memory_to_pymoo"),
        ("imports", "ratio_import_to_optuna"),
        ("lightning", "ratio"),
    ):
        print(f"{part}.{key}: {result[part][key]:.3f}")
    folder_out = {} if arguments.out is None else {"folder": arguments.out}
    record("overhead", result, packages=("optuna", "pymoo"), **folder_out)


if __name__ == "__main__":
    main()
