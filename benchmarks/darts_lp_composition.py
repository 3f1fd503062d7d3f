"""Low-precision candidates inside a Q-NAS search that the NPU prices: three plugins that know nothing of each other.

Q-NAS evolves the blocks, kernel sizes, weight bits and activation bits of the layer-wise space; `npu:wu32` prices the
energy of one image, from the bits that every layer states; accuracy is that of real trainings. Random search gets as
many trials, and the networks with the same bits everywhere are trained beside them. Both searches have a hard bound on
the energy: networks beyond it are never trained.

Digits of scikit-learn, so that no data are needed. Studies are kept in `--work`, and go on where they were.

Run: python benchmarks/darts_lp_composition.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from _record import record
from nasplug_darts_lp.spaces.layers.space import LayersSpace

import nasplug as nas

BITS = (1, 2, 4, 8)
SPACE: dict[str, Any] = {"width": 0.5, "blocks": 1, "weight_bits": list(BITS), "activation_bits": list(BITS)}
ENERGY = "npu/energy_j"


def search(strategy: Any, seed: int, arguments: argparse.Namespace, name: str, **more: Any) -> nas.Study:
    """One search; the same task, space, target and costs for all."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    return nas.search(
        nas.component("image_classification", limit=arguments.limit, batch_size=32, training={"lr": 5e-3}),
        space=nas.component("darts_lp.layers", **SPACE),
        strategy=strategy,
        objectives={"val_acc": "max", ENERGY: "min"},
        target="npu:wu32",
        costs=["npu"],
        epochs=arguments.epochs,
        batch=4,
        seed=seed,
        storage=arguments.work / f"{name}-{seed}.sqlite",
        progress=False,
        **more,
    )


def uniform(arguments: argparse.Namespace) -> dict[str, Any]:
    """Networks with the same bits everywhere and all blocks, 3x3 kernels."""
    space = LayersSpace(**SPACE)
    genotypes = [
        space.from_vector([BITS.index(bits) if "bits" in choice.name else 0 for choice in space.choices]).genotype
        for bits in BITS
    ]
    study = search("random", 0, arguments, "uniform", trials=len(BITS), enqueue=genotypes)
    return {
        str(bits): {"val_acc": trial.values["val_acc"], "energy_j": trial.values[ENERGY]}
        for bits, trial in zip(BITS, study.trials, strict=True)
    }


def facts(study: nas.Study) -> dict[str, Any]:
    """The best network within the bound, and the front."""
    best = study.best if study.candidates() else None
    return {
        "trials": len(study.trials),
        "states": {state: sum(t.state == state for t in study.trials) for state in ("complete", "pruned", "failed")},
        "best": None
        if best is None
        else {"val_acc": best.values["val_acc"], "energy_j": best.values[ENERGY], "key": best.architecture.key},
        "front": [[trial.values["val_acc"], trial.values[ENERGY]] for trial in study.pareto()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("darts_lp_composition.work"))
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    start = time.perf_counter()
    same = uniform(arguments)
    bound = same["4"]["energy_j"]
    strategies = {
        "qnas": nas.component("qnas", evolution={"quantum_individuals": 4, "max_update": 0.5}),
        "random": "random",
    }
    runs: dict[str, list[Any]] = {}
    for name, strategy in strategies.items():
        for seed in range(arguments.seeds):
            study = search(
                strategy, seed, arguments, name, trials=arguments.trials, constraints=[f"{ENERGY} <= {bound!r}"]
            )
            found = facts(study)
            runs.setdefault(name, []).append(found)
            print(
                f"{name:8} seed {seed}: {found['best']['val_acc']:.4f} at {found['best']['energy_j']:.3e} J", flush=True
            )
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if key != "work"} | {"space": SPACE},
        "seeds": list(range(arguments.seeds)),
        "bound_energy_j": bound,
        "uniform": same,
        "runs": runs,
        "mean_best": {
            name: statistics.mean(one["best"]["val_acc"] if one["best"] else 0.0 for one in found)
            for name, found in runs.items()
        },
        "seconds": time.perf_counter() - start,
    }
    print(same, result["mean_best"], f"{result['seconds']:.0f} s")
    if not arguments.dry:
        record("darts_lp_composition", result)


if __name__ == "__main__":
    main()
