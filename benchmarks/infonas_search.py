"""Searches with embeddings on NAS-Bench-101: REINFORCE, Bayesian optimisation, and the screening of other strategies.

Everybody gets the same number of queries and the same seeds. The objective is the mean test accuracy of three trainings
(108 epochs, CIFAR-10): the public extract has no validation accuracies. So there is no noise, and regrets are smaller
than published ones, which select on validation accuracy. The encoder has seen cells, and no accuracy.

The table and the encoder are not part of the project; the encoder is made by

  python benchmarks/infonas_embedding.py TABLE --encoder ENCODER

Run: python benchmarks/infonas_search.py TABLE ENCODER
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from _record import record
from nasplug_infonas.embedder import Embedder
from nasplug_tables.bench import compare

import nasplug as nas

AT = (16, 32, 50, 100, 150)


def strategies(encoder: str) -> dict[str, Any]:
    """What is compared, by label."""
    evolution = nas.component("regularized_evolution", population_size=20, tournament_size=5)
    qnas = nas.component("qnas", preset="table")
    # Nine of ten candidates are dropped, so that a generation has to be larger for as many measured ones.
    larger = nas.component("qnas", preset="table", evolution={"repetition": 10})
    return {
        "random": "random",
        "regularized_evolution": "regularized_evolution",
        "evolution20": evolution,
        "qnas": qnas,
        "reinforce": nas.component("infonas.reinforce", encoder=encoder),
        "bo": nas.component("infonas.bo", encoder=encoder),
        "bo_dngo": nas.component("infonas.bo", encoder=encoder, kind="mean", surrogate="dngo", ranks=False, pool=None),
        "screen_random": nas.component("infonas.screen", encoder=encoder),
        "screen_evolution20": nas.component("infonas.screen", encoder=encoder, inner=evolution),
        "screen_qnas": nas.component("infonas.screen", encoder=encoder, inner=larger),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100, help="seeds below were used while choosing defaults")
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--only", nargs="+", help="labels")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/infonas_search"), help="finished strategies are kept here"
    )
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    named = strategies(str(arguments.encoder))
    arguments.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for label, strategy in named.items():
        if arguments.only and label not in arguments.only:
            continue
        kept = arguments.work / f"{label}-{seeds[0]}-{len(seeds)}.json"
        if not kept.is_file():
            started = time.perf_counter()
            outcome = compare(
                arguments.table, {label: strategy}, queries=arguments.queries, seeds=seeds, baselines=False
            ).outcomes[label]
            print(f"{label}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            kept.write_text(json.dumps({"regret": outcome.regret.tolist(), "seconds": outcome.seconds.tolist()}))
        found[label] = json.loads(kept.read_text())
        print(label, summary(found[label], arguments.queries)["mean"], flush=True)
    embedder = Embedder.load(arguments.encoder)
    plain = {
        label: nas.Component.parse(value, where=label).to_plain() for label, value in strategies("ENCODER").items()
    }
    result = {
        "table": f"{arguments.table.name}: mean test accuracy of NAS-Bench-101, 108 epochs; the objective itself",
        "unit": "percentage points of regret",
        "queries": arguments.queries,
        "seeds": list(seeds),
        "encoder": {"fingerprint": embedder.fingerprint, **embedder.facts},
        "strategies": {label: plain[label] for label in found},
        "regret": {label: summary(run, arguments.queries) for label, run in found.items()},
        "p_below": {
            against: {
                label: {str(count): p_value(found, label, against, count) for count in AT if count <= arguments.queries}
                for label in found
                if label != against
            }
            for against in ("random", "regularized_evolution", "evolution20", "qnas")
            if against in found
        },
    }
    record(
        "infonas_search", result, packages=("scipy",), **({} if arguments.out is None else {"folder": arguments.out})
    )


def summary(run: dict[str, Any], queries: int) -> dict[str, Any]:
    """Mean regret after some queries, its standard error, and the end of every run."""
    import numpy as np

    regret = np.array(run["regret"])
    at = [count for count in AT if count <= queries]
    return {
        "mean": {str(count): round(float(regret[:, count - 1].mean()), 4) for count in at},
        "standard_error": {
            str(count): round(float(regret[:, count - 1].std(ddof=1) / len(regret) ** 0.5), 4)
            if len(regret) > 1
            else None
            for count in at
        },
        "final": [round(value, 4) for value in regret[:, -1].tolist()],
        "seconds_per_run": round(float(np.median(run["seconds"])), 1),
    }


def p_value(found: dict[str, Any], label: str, against: str, count: int) -> float:
    """One-sided Mann-Whitney U test: could `label` be so far below `against` after so many queries by chance?"""
    from scipy.stats import mannwhitneyu

    first, second = ([curve[count - 1] for curve in found[name]["regret"]] for name in (label, against))
    return float(mannwhitneyu(first, second, alternative="less").pvalue)


if __name__ == "__main__":
    main()
