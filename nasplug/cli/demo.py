"""Search networks for handwritten digits with Q-NAS: a complete example, with nothing to download.

Real images (scikit-learn's digits), a real search in worker processes, the best network trained fully and tested once
on images that the search never saw, a report, and files to go on with. About two minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import demo_segmentation, output
from nasplug.cli.app import INTERRUPTED
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser, natural, positive
from nasplug.contract.errors import MissingExtraError, StorageError
from nasplug.contract.jsondata import Json, JsonObject, parse_json
from nasplug.contract.wording import plural
from nasplug.optional import available

if TYPE_CHECKING:
    from nasplug.cli.retrain import Result
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog
    from nasplug.plugins.discovery import Discovery
    from nasplug.run.spec import RunSpec

SUMMARY = "Search networks for handwritten digits: a complete example."

#: Candidates per generation: Q-NAS waits for the whole generation, so this many may be trained side by side.
GENERATION = 6
TRIALS = 36
EPOCHS = 5
FINAL_EPOCHS = 20


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug demo`."""
    parser.add_argument("--out", metavar="DIR", default="runs/demo", help="folder to write; default: runs/demo")
    parser.add_argument("--seed", metavar="S", type=natural, default=0, help="seed of the whole search; default: 0")
    parser.add_argument(
        "--task", choices=("digits", "segmentation"), default="digits", help="data of the demo; default: digits"
    )
    parser.add_argument("--trials", metavar="N", type=positive, help=f"default: {TRIALS}, and 8 for segmentation")
    parser.add_argument(
        "--workers", metavar="N", type=positive, help=f"worker processes; default: one per core, at most {GENERATION}"
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--fresh", action="store_true", help="leave an earlier demo alone and write to DIR-2, DIR-3, ..."
    )
    begin.add_argument("--resume", action="store_true", help="continue the demo in DIR, which must exist")


def run(arguments: argparse.Namespace) -> int:
    """Searches, trains the best network, tests it, and writes everything down."""
    found = find_plugins(arguments, warn=True)
    _check(found, qnas=arguments.task == "digits")
    if arguments.task == "segmentation":
        demo_segmentation.check()
    out = _folder(arguments)
    spec = _spec(arguments, out)
    storage = str(spec.run.storage)
    from nasplug.cli.progress import LiveDisplay
    from nasplug.run.api import run_spec
    from nasplug.run.recommendation import recommend

    segmentation = arguments.task == "segmentation"
    print(demo_segmentation.header(spec) if segmentation else _header(spec, arguments.seed), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    _write_spec(spec, out / "search.yaml")
    try:
        study = run_spec(spec, trackers=[LiveDisplay()])
        best = recommend(study, storage, found.catalog).trial
        result = None if segmentation else _final(study, best, spec, found.catalog, out / "network")
        if segmentation:
            demo_segmentation.show(study, best)
    except KeyboardInterrupt:
        print(f"\nnasplug: stopped; every finished trial is in {storage}", file=sys.stderr)
        print(f"Go on with: {_again(arguments, out)}", file=sys.stderr)
        print(f"(the search alone: {output.command('run', '--resume', storage)})", file=sys.stderr)
        return INTERRUPTED
    if result is not None:
        _print_result(study, best, result)
    _print_files(study, best, out, "val_dice" if segmentation else "val_acc")
    return 0


def _check(found: Discovery, *, qnas: bool) -> None:
    """Everything the demo needs, before it begins; Q-NAS only where it searches.

    Raises:
        MissingExtraError: Something is not installed.
    """
    for module in ("torch", "pytorch_lightning", "torchmetrics", "safetensors", "sklearn"):
        if not available(module):
            raise MissingExtraError(f"{module} is not installed", where="demo", fix='pip install "nasplug[train]"')
    if qnas and not found.catalog.has("strategy", "qnas"):
        reason = next((plugin.error for plugin in found.broken if plugin.name == "qnas"), None)
        raise MissingExtraError(
            "the demo searches with Q-NAS, which is not installed",
            where="demo",
            why=None if reason is None else f"nasplug-qnas is installed and failed to load: {reason}",
            fix="pip install nasplug-qnas" if reason is None else "`nasplug doctor` says more",
        )


def _folder(arguments: argparse.Namespace) -> Path:
    out = Path(arguments.out)
    if arguments.resume and not (out / "study.sqlite").is_file():
        raise StorageError("there is no demo to resume", where=str(out), fix="leave --resume out")
    number = 2
    while arguments.fresh and out.exists():
        out = Path(f"{arguments.out.rstrip('/')}-{number}")
        number += 1
    return out


def _again(arguments: argparse.Namespace, out: Path) -> str:
    given = (
        ("--task", arguments.task, "digits"),
        ("--out", str(out), "runs/demo"),
        ("--seed", arguments.seed, 0),
        ("--trials", arguments.trials, None),
    )
    words = [word for name, value, default in given if value != default for word in (name, str(value))]
    return output.command("demo", *words)


def _spec(arguments: argparse.Namespace, out: Path) -> RunSpec:
    from nasplug.run.spec import RunSpec

    if arguments.task == "segmentation":
        return demo_segmentation.specification(
            arguments.trials, arguments.workers, arguments.seed, out, arguments.plugin
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = arguments.workers or min(cores, GENERATION)
    return RunSpec.parse(
        {
            "task": _task(split={"val_fraction": 0.2}),
            # The published functions with a quarter of their filters: the images have 8 x 8 pixels.
            "space": {"qnas.conv": {"functions": "conv11", "nodes": 8, "width": 0.25, "head": "flatten"}},
            "strategy": {"qnas": {"evolution": {"quantum_individuals": GENERATION, "max_update": 0.2}}},
            "costs": ["params", "macs"],
            "objectives": {"val_acc": "max"},
            "constraints": ["macs <= 1e6"],
            "budget": {"trials": arguments.trials or TRIALS, "epochs": EPOCHS},
            "run": {
                "executor": "process" if workers > 1 else "inline",
                "workers": workers,
                "batch": GENERATION,
                "seed": arguments.seed,
                "storage": str(out / "study.sqlite"),
            },
            "plugins": arguments.plugin,
        }
    )


def _task(**arguments: Json) -> JsonObject:
    return {"image_classification": {"data": "digits", "batch_size": 32, "training": {"lr": 5e-3}, **arguments}}


def _header(spec: RunSpec, seed: int) -> str:
    workers = plural(spec.run.workers, "worker process") if spec.run.workers > 1 else "one process"
    return "\n".join(
        [
            "nasplug demo: Q-NAS searches networks for handwritten digits",
            "  data    1,797 images of 8x8 pixels from scikit-learn; a fifth of them only for the final test",
            "  space   chains of up to 8 convolutions and pools, at most a million multiply-accumulates",
            f"  search  {plural(spec.budget.trials or 0, 'network')}, {plural(EPOCHS, 'epoch')} each, {workers}, "
            f"seed {seed}",
            "  time    about two minutes on two cores; after Ctrl-C the same command goes on",
            "",
        ]
    )


def _write_spec(spec: RunSpec, path: Path) -> None:
    import yaml

    text = yaml.safe_dump(spec.to_plain(), sort_keys=False)
    path.write_text(f"# What `nasplug demo` runs; `nasplug run` takes this file, or your variation of it.\n{text}")


def _final(study: Study, best: Trial, spec: RunSpec, catalog: Catalog, folder: Path) -> Result:
    """Trains the best architecture fully and tests it, once: a finished demo keeps its result."""
    from nasplug.cli.progress import EpochDisplay
    from nasplug.cli.retrain import RESULT, result_json
    from nasplug.export.retrain import retrain
    from nasplug.plugins.component import Component

    path = folder / RESULT
    if path.is_file():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a damaged file is made anew
            earlier: Result = parse_json(path.read_text(encoding="utf-8"))
            if earlier["trial"] == best.number and earlier["architecture"]["key"] == best.architecture.key:
                return earlier
    label = study.label(best)
    print(f"\ntraining {output.titled(best.number, label)} fully: {plural(FINAL_EPOCHS, 'epoch')}", flush=True)
    # More images than in the search, shifted by up to a pixel. The schedule ends at good weights by itself: to choose
    # an epoch would take more validation images than a tenth, of which most networks soon get all right.
    final = spec.replace(
        task=Component.parse(_task(split={"val_fraction": 0.1}, augment="crop", loading={"pad": 1}), where="task"),
        evaluator=Component("lightning", {"score": "last", "keep": "last"}),
    )
    with EpochDisplay(FINAL_EPOCHS) as display:
        done = retrain(final, best, catalog, folder, epochs=FINAL_EPOCHS, seed=spec.run.seed, emit=display.measured)
    result = result_json(done, str(spec.run.storage), folder, label=label)
    result["baseline"] = _baseline()
    path.write_text(json.dumps(output.json_safe(result), indent=2) + "\n", encoding="utf-8")
    return result


def _baseline() -> dict[str, float]:
    """Test accuracy of logistic regression on the same division of the images."""
    from sklearn.linear_model import LogisticRegression

    from nasplug.data import Digits

    digits = Digits().load()
    assert digits.x_test is not None
    model = LogisticRegression(max_iter=2000)
    model.fit(digits.x_train.reshape(len(digits.x_train), -1), digits.y_train)
    return {"logistic regression": float(model.score(digits.x_test.reshape(len(digits.x_test), -1), digits.y_test))}


def _print_result(study: Study, best: Trial, result: Result) -> None:
    from rich.console import Console

    from nasplug.contract.protocols import HasGraph
    from nasplug.report.text import draw_text

    console = Console()
    costs = {name: best.costs[name] for name in ("params", "macs")}
    print(
        f"\nThe best of {plural(len(study.trials), 'network')} is "
        f"{output.titled(best.number, study.label(best))}: {output.values(costs)}\n"
    )
    if isinstance(study.space, HasGraph):
        unicode = (sys.stdout.encoding or "ascii").lower().startswith("utf")
        drawing = draw_text(study.space.graph(best.architecture), width=min(console.width, 100) - 2, unicode=unicode)
        print("\n".join(f"  {line}" for line in drawing.splitlines()))
        print("  (conv_K_S_F: kernel K, stride S, F filters; pool_K_S: window K, stride S)")
    print("\nAccuracy on the test images, which the search never saw:")
    test = result["test"]["test_acc"] if result["test"] else None
    rows = {f"this network, {best.costs['params']:,.0f} parameters": test, **result.get("baseline", {})}
    for name, accuracy in rows.items():
        print(f"  {name:40}  {'not tested' if accuracy is None else f'{100 * accuracy:.1f} %'}")


def _print_files(study: Study, best: Trial, out: Path, metric: str) -> None:
    storage = str(out / "study.sqlite")
    try:
        report = str(study.report(out / "report.html"))
    except MissingExtraError as error:
        report = f"not written: {error.what}; {error.fix}"
    files = {"report": report, "study": storage, "network": str(out / "network"), "search": str(out / "search.yaml")}
    if not (out / "network").is_dir():
        del files["network"]
    print()
    for name, path in files.items():
        print(f"{name:8}  {path}")
    print("\nTry next:")
    print(f"  {output.command('trials', storage, '--sort', metric, '--limit', '10')}")
    print(f"  {output.command('cost', f'{storage}#{best.number}', '--target', 'cpu')}")
    print(f"  {output.command('run', str(out / 'search.yaml'), '--set', 'run.seed=1', *_elsewhere(out))}")


def _elsewhere(out: Path) -> list[str]:
    return ["--set", f"run.storage={out / 'seed1.sqlite'}"]
