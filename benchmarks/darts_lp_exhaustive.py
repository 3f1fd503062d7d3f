"""How far assignments of bits differ, by training all of them: what a precision search could find at all.

A residual network of three blocks, each with one of some numbers of bits for its weights, and 4 bits for activations:
27 assignments with 1, 2 and 4 bits. Each is trained from scratch with every seed, all alike, and validated on several
times as many images as it learns from, the same for all: what a network has by chance on just these images counts as
the network's. Reported:

* the deviation between assignments, over all costs and among those of equal cost, beside the deviation of the seed:
  components of variance, with seeds as a common effect (a seed changes all networks alike, as it changes the data);
* whether assignments of equal cost differ at all: F tests in groups of the same bit operations, with correction (Holm);
* the places of the networks with the same bits everywhere, by mean accuracy, the best being 1;
* what there is to find: in every group the best by the mean of the other seeds, in the seed that was left out, minus
  the mean of its group, which is what a random assignment gets.

Images of Fashion-MNIST, 14 x 14 pixels by means of 2 x 2; the data are not part of the project. Seeds that are done are
kept in `--work` and not trained again.

Run: python benchmarks/darts_lp_exhaustive.py --data fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from _inference import holm, interval
from _record import by_seed, record
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.options import SupernetOptions

import nasplug as nas
import nasplug.data

ACTIVATION_BITS = 4
#: Costs that differ by less than this share are equal.
EQUAL = 0.05


def halved(source: Path, target: Path) -> Path:
    """Images of half the height and width, by the mean of 2 x 2 pixels."""
    if not target.is_file():
        with np.load(source, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
        for key in ("x_train", "x_test"):
            x = arrays[key].reshape(len(arrays[key]), 14, 2, 14, 2).mean(axis=(2, 4))
            arrays[key] = np.round(x).astype(np.uint8)
        np.savez_compressed(target, **arrays)
    return target


def space_of(arguments: argparse.Namespace) -> LayersSpace:
    """Three blocks with a choice of weight bits."""
    return LayersSpace(
        width=arguments.width, blocks=1, operations=("conv",), kernels=(3,), weight_bits=arguments.bits,
        activation_bits=(ACTIVATION_BITS,),
    )  # fmt: skip


def assignments(space: LayersSpace) -> list[nas.Architecture]:
    """All of them."""
    places = [at for at, choice in enumerate(space.choices) if choice.name.endswith("_weight_bits")]
    found = []
    for bits in itertools.product(*(range(len(space.choices[place].options)) for place in places)):
        vector = [0] * len(space.choices)
        for place, index in zip(places, bits, strict=True):
            vector[place] = index
        found.append(space.from_vector(vector))
    return found


def trained(arguments: argparse.Namespace, seed: int) -> list[float]:
    """Validation accuracy of all assignments with one seed."""
    task = nas.ImageClassification(
        data=nasplug.data.Npz(str(halved(arguments.data, arguments.work / "fashion14.npz"))),
        limit=arguments.images + arguments.validation,
        batch_size=arguments.batch,
        split=nasplug.data.Split(val_fraction=arguments.validation / (arguments.images + arguments.validation)),
        training=nas.Training(lr=arguments.lr),
    )
    space = space_of(arguments)
    networks = assignments(space)
    study = nas.search(
        task,
        space=space,
        evaluator=nas.component("lightning", score="last", trainer={"check_val_every_n_epoch": arguments.epochs}),
        enqueue=[architecture.genotype for architecture in networks],
        trials=len(networks),
        epochs=arguments.epochs,
        seed=seed,
        progress=False,
        rehearse=False,
    )
    return [trial.metrics["val_acc"] for trial in study.trials]


def components(accuracy: np.ndarray) -> dict[str, float]:
    """Deviations between assignments and between trainings of one, from accuracies (assignments, seeds).

    Two-way analysis without repetition: the mean square between assignments holds the residual one and S times the
    variance between assignments, with S seeds. A negative estimate of a variance counts as 0.
    """
    from scipy import stats

    count, seeds = accuracy.shape
    rest = accuracy - accuracy.mean(0) - accuracy.mean(1, keepdims=True) + accuracy.mean()
    residual = float((rest**2).sum()) / ((count - 1) * (seeds - 1))
    between = seeds * float(accuracy.mean(1).var(ddof=1))
    return {
        "between_assignments": max(0.0, (between - residual) / seeds) ** 0.5,
        "between_seeds": residual**0.5,
        "of_the_means": float(accuracy.mean(1).std(ddof=1)),
        "f": between / residual,
        "p": float(stats.f.sf(between / residual, count - 1, (count - 1) * (seeds - 1))),
    }


def groups(cost: np.ndarray) -> list[np.ndarray]:
    """Rows of assignments of equal cost, three or more, from the cheapest on."""
    order = np.argsort(cost, kind="stable")
    found: list[list[int]] = []
    for row in order:
        if found and cost[row] <= cost[found[-1][0]] * (1 + EQUAL):
            found[-1].append(int(row))
        else:
            found.append([int(row)])
    return [np.array(group) for group in found if len(group) >= 3]


def to_find(accuracy: np.ndarray, members: list[np.ndarray]) -> dict[str, Any]:
    """Gain over the mean of a group by its best assignment of the other seeds, mean over groups, by seed left out."""
    gains = []
    for seed in range(accuracy.shape[1]):
        others = np.delete(accuracy, seed, axis=1).mean(1)
        each = [accuracy[group[others[group].argmax()], seed] - accuracy[group, seed].mean() for group in members]
        gains.append(float(np.mean(each)))
    return {**interval(gains), "by_seed": gains}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz file of images, 28 x 28")
    parser.add_argument("--images", type=int, default=1000, help="number of training images")
    parser.add_argument("--validation", type=int, default=4000, help="number of validation images")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4], help="numbers of bits of weights")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--work", type=Path, default=Path("runs/darts_lp_exhaustive"))
    parser.add_argument("--name", default="darts_lp_exhaustive")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    done = by_seed(arguments.work / "accuracies.json", arguments.seeds, lambda seed: trained(arguments, seed))
    space = space_of(arguments)
    networks = assignments(space)
    supernet = space.supernet((1, 14, 14), 10, SupernetOptions())
    cost = np.array([float(supernet.cost(supernet.weights_of(each))) for each in networks])
    accuracy = np.array(done).T
    members = groups(cost)
    if not members:
        raise SystemExit("no three assignments have equal cost; give more --bits")
    within = [components(accuracy[group]) for group in members]
    corrected = list(holm({str(number): each["p"] for number, each in enumerate(within)}).values())
    bits = [list(each.genotype[2::4]) for each in networks]  # type: ignore[index]
    places = (-accuracy.mean(1)).argsort(kind="stable").argsort(kind="stable") + 1
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "seeds": arguments.seeds,
        "assignments": len(networks),
        "all_costs": components(accuracy),
        "places_of_uniform": {str(b[0]): int(place) for b, place in zip(bits, places, strict=True) if len(set(b)) == 1},
        "equal_cost": {
            "groups": len(members),
            "assignments": sum(map(len, members)),
            "between_assignments": statistics.mean(each["between_assignments"] ** 2 for each in within) ** 0.5,
            "between_seeds": statistics.mean(each["between_seeds"] ** 2 for each in within) ** 0.5,
            "differ": sum(value < 0.05 for value in corrected),
            "gain": to_find(accuracy, members),
            "by_group": [
                {"cost": float(cost[group].mean()), "size": len(group), "p_corrected": p, **each}
                for group, each, p in zip(members, within, corrected, strict=True)
            ],
        },
        "networks": [
            {"weight_bits": b, "cost": float(c), "val_acc": row.tolist()}
            for b, c, row in zip(bits, cost, accuracy, strict=True)
        ],
    }
    print(json.dumps({key: result[key] for key in ("all_costs", "equal_cost")}, indent=1))
    if not arguments.dry:
        record(arguments.name, result, packages=("scipy",))


if __name__ == "__main__":
    main()
