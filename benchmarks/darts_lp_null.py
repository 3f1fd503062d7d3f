"""The null test: candidates that are all the same must stay equally probable.

Every mixed operation chooses among K copies of one candidate. There is nothing to be found, so that whatever a search
finds is a fault of the search: candidates that lead early get larger gradients, and keep leading. The figure is the
mean, over all mixed operations, of the largest probability at the end; 1/K is uniform, 1 is collapsed.

Searchers: softmax, Gumbel softmax and its hard samples; blocks of the layer-wise supernet with K times the same bit
widths or the same kernel, and cells with K times the same separable convolution, also with partial channels. Each with
shared weights and with separate ones, and separate ones of blocks with the readings of forward-and-backward scaling.
Digits of scikit-learn, bilevel, first order. Runs that are done are kept in `--work` and not made again.

Run: python benchmarks/darts_lp_null.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _record import record
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.cell.supernet import CellSupernet
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.spaces.layers.supernet import LayersSupernet
from nasplug_darts_lp.supernet.base import Supernet
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import LogitsSettings, SearchSettings, SupernetSettings, TrainingSettings
from nasplug_darts_lp.supernet.training import Plan, train_round

import nasplug as nas

COPIES = 3
FAMILIES = ("bits", "kernels", "cell", "partial")
MIXINGS = ("softmax", "gumbel", "gumbel_hard")


class Copies:
    """Stands in for a space: gives a supernet whose candidates are all the same.

    Args:
        family: `bits`, blocks with copies of 4-bit activations; `kernels`, blocks with copies of a 3x3 kernel; `cell`,
            with copies of a separable convolution; `partial`, the same with a part of the channels.
    """

    def __init__(self, family: str) -> None:
        self.family = family

    def supernet(self, input_shape: Any, outputs: int, options: SupernetOptions) -> Supernet:
        """See HasSupernet."""
        if self.family in ("cell", "partial"):
            cells = CellSpace(channels=4, layers=3, nodes=1)
            return CellSupernet(
                cells.settings,
                cells.architecture,
                input_shape,
                outputs,
                options,
                candidates=("sep_conv_3x3",) * COPIES,
            )
        blocks = LayersSpace(
            width=0.25,
            blocks=1,
            operations=("conv",),
            kernels=(3,),
            weight_bits=(4,),
            activation_bits=(4,),
            first_last_bits=None,
        )
        # A space of choices refuses the same option twice; a supernet does not mind.
        own = blocks.settings
        copied = (
            replace(own, activation_bits=own.activation_bits * COPIES)
            if self.family == "bits"
            else replace(own, kernels=own.kernels * COPIES)
        )
        return LayersSupernet(copied, blocks.architecture, input_shape, outputs, options)


def run(
    family: str, mixing: str, shared: bool, scaling: str, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """One search; the largest probability of every mixed operation."""
    torch.set_num_threads(1)
    options = SupernetOptions(
        Mixing(mixing),  # type: ignore[arg-type]
        SupernetSettings(shared=shared, scaling=scaling, partial=2 if family == "partial" else 1),  # type: ignore[arg-type]
    )
    settings = SearchSettings(
        TrainingSettings(lr=0.05),
        LogitsSettings(lr=arguments.logits_lr, schedule="constant", weight_decay=0.0, warmup=0.0),
    )
    task = nas.ImageClassification(batch_size=64)
    plan = Plan(Copies(family), task, options, settings, arguments.epochs)
    start = time.perf_counter()
    result = train_round(plan, {}, seed, 0, 1)
    found = {
        name: values.tolist()
        for name, values in result.supernet.logits.probabilities().items()
        if len(values) == COPIES and not name.endswith("edges")
    }
    return {
        "max_probability": statistics.mean(max(values) for values in found.values()),
        "worst": max(max(values) for values in found.values()),
        "choices": len(found),
        "losses": [round(loss, 4) for loss in result.losses],
        "diverged": result.diverged,
        "seconds": round(time.perf_counter() - start, 1),
    }


def cases(families: list[str]) -> list[tuple[str, str, str]]:
    """Family, mixing and form of all searches."""
    found = []
    for family in families:
        for mixing in MIXINGS:
            forms = ["shared", "separate"]
            if family == "bits":  # each reading where it is meant to help
                forms += {"softmax": ["separate gradient", "separate normalise"], "gumbel": []}.get(
                    mixing, ["separate gradient", "separate importance"]
                )
            found += [(family, mixing, form) for form in forms]
    return found


def kept(path: Path) -> dict[str, Any]:
    """Runs that are done."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--logits-lr", type=float, default=0.03)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--work", type=Path, default=Path("darts_lp_null.work.json"))
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    done = kept(arguments.work)
    summary: dict[str, Any] = {}
    for seed in range(arguments.seeds):
        for family, mixing, form in cases(arguments.families):
            key = f"{family}/{mixing}/{form}/{seed}/{arguments.epochs}/{arguments.logits_lr}"
            if key not in done:
                kind, _, scaling = form.partition(" ")
                found = run(family, mixing, kind == "shared", scaling or "none", seed, arguments)
                done = kept(arguments.work) | {key: found}  # several processes may share the work
                arguments.work.write_text(json.dumps(done))
                print(f"{key:50} {done[key]['max_probability']:.3f}  {done[key]['seconds']} s", flush=True)
            place = summary.setdefault(family, {}).setdefault(mixing, {})
            place.setdefault(form.replace(" ", "_"), []).append(done[key])
    for family, by_mixing in summary.items():
        for mixing, by_form in by_mixing.items():
            for form, runs in by_form.items():
                values = [one["max_probability"] for one in runs]
                by_form[form] = {
                    "mean": statistics.mean(values),
                    "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
                    "worst": max(one["worst"] for one in runs),
                    "runs": runs,
                }
                print(f"{family:8} {mixing:12} {form:20} {by_form[form]['mean']:.3f} +- {by_form[form]['sd']:.3f}")
    if not arguments.dry:
        uniform = 1 / COPIES
        shared = [forms["shared"]["worst"] for mixings in summary.values() for forms in mixings.values()]
        separate = [forms["separate"]["mean"] for mixings in summary.values() for forms in mixings.values()]
        record(
            "darts_lp_null",
            {
                "settings": {"copies": COPIES, "epochs": arguments.epochs, "logits_lr": arguments.logits_lr},
                "seeds": list(range(arguments.seeds)),
                "uniform": uniform,
                "shared_stays_within": max(shared) - uniform,
                "separate_lowest": min(separate),
                "separate_highest": max(separate),
                "summary": summary,
            },
        )


if __name__ == "__main__":
    main()
