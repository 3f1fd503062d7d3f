"""`nasplug auto DATA`: a network for somebody who has data and nothing else.

Looks at the data, says what will be done and how long it takes, searches, trains the best network fully, tests it once
on samples that the search never saw, and writes a report, the network and a model card. The specification lies beside
them, so that the next search can be one's own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.app import INTERRUPTED
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser, natural, positive
from nasplug.contract.errors import MissingExtraError, SpecError
from nasplug.contract.jsondata import JsonObject, parse_json
from nasplug.contract.wording import plural
from nasplug.optional import available

if TYPE_CHECKING:
    from nasplug.auto.planning import Plan
    from nasplug.cli.retrain import Result
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog

SUMMARY = "Find a network for data: looks, plans, searches, tests, and explains."

MOST_WORKERS = 8
#: Seconds and part of the time that test, export and report get.
AFTER, LAST = 10.0, 0.03
#: How much longer an epoch with its validation takes than its batches.
VALIDATION = 1.15


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug auto`."""
    parser.add_argument("data", metavar="DATA", help="a folder of images, a table, an archive, or `digits`")
    parser.add_argument("--target", metavar="COLUMN", help="the column of a table to predict; default: the last one")
    parser.add_argument(
        "--pretrained", metavar="MODEL", help="a model of timm that is fine-tuned, such as resnet18.a1_in1k"
    )
    parser.add_argument("--weights", metavar="FILE", help="the file of its weights; default: those of its hub")
    parser.add_argument("--minutes", metavar="M", type=float, default=10.0, help="time for everything; default: 10")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and stop")
    parser.add_argument("--out", metavar="DIR", default="runs/auto", help="the folder to write; default: runs/auto")
    parser.add_argument("--seed", metavar="S", type=natural, default=0, help="seed of the whole search; default: 0")
    parser.add_argument("--workers", metavar="N", type=positive, help="worker processes; default: one per core")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Does everything."""
    from nasplug.auto.choosing import Start
    from nasplug.auto.looking import look
    from nasplug.auto.planning import plan
    from nasplug.run.spec import RunSpec

    began = time.monotonic()
    if not arguments.minutes > 0:
        raise SpecError(f"--minutes must be > 0, got {arguments.minutes:g}", where="nasplug auto")
    if arguments.weights is not None and arguments.pretrained is None:
        raise SpecError(
            "--weights belong to a model", where="nasplug auto", fix="name the model of timm with --pretrained"
        )
    start = None if arguments.pretrained is None else Start(arguments.pretrained, arguments.weights or "hub")
    catalog = find_plugins(arguments).catalog
    _check()
    looked = look(arguments.data, arguments.target)
    out = Path(arguments.out)
    storage = out / "study.sqlite"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = arguments.workers or min(cores, MOST_WORKERS)
    made = plan(
        looked,
        catalog,
        minutes=arguments.minutes,
        workers=workers,
        seed=arguments.seed,
        storage=str(storage),
        start=start,
    )
    if storage.is_file():  # what a study searches is decided; how long, is not
        earlier = RunSpec.parse(parse_json((out / "plan.json").read_text(encoding="utf-8"))["spec"])
        if looked.task != earlier_task(out):
            raise SpecError(
                "this folder holds a search on other data", where=str(out), fix="give another one with --out"
            )
        made = made.on(earlier)
    _say(made, arguments)
    if arguments.plan:
        return 0
    out.mkdir(parents=True, exist_ok=True)
    _write(made, looked.task, out)
    return carry_out(made, catalog, out, ending(began, arguments.minutes), as_json=arguments.json)


def earlier_task(out: Path) -> JsonObject:
    """The task that a folder's plan was made for."""
    task: JsonObject = parse_json((out / "plan.json").read_text(encoding="utf-8"))["task"]
    return task


def ending(began: float, minutes: float) -> float:
    """When the last training should be done, on the monotonic clock.

    Args:
        began: Moment at which everything began.
        minutes: Time for everything.
    """
    return began + 60.0 * minutes - AFTER - LAST * 60.0 * minutes


def _check() -> None:
    for module in ("torch", "pytorch_lightning", "torchmetrics", "safetensors"):
        if not available(module):
            raise MissingExtraError(f"{module} is not installed", where="auto", fix='pip install "nasplug[train]"')


def _say(made: Plan, arguments: argparse.Namespace) -> None:
    if arguments.json and arguments.plan:
        output.print_json({"plan": dict(made.reasons), "spec": made.spec.to_plain()})
        return
    stream = sys.stderr if arguments.json else sys.stdout
    print(f"nasplug auto {arguments.data}", file=stream)
    for name, words in made.reasons:
        print(f"  {name:9} {words}", file=stream)
    print(f"  {'after':9} Ctrl-C the same command goes on\n", file=stream, flush=True)


def _write(made: Plan, task: JsonObject, out: Path) -> None:
    import yaml

    plain = made.spec.to_plain()
    (out / "plan.json").write_text(json.dumps({"task": task, "spec": plain}, indent=2) + "\n", encoding="utf-8")
    text = "# What `nasplug auto` runs; `nasplug run` takes this file, or your variation of it.\n"
    (out / "search.yaml").write_text(text + yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def carry_out(made: Plan, catalog: Catalog, out: Path, end: float, *, as_json: bool) -> int:
    """Searches, trains the best network until a moment, tests it once, and writes everything.

    Args:
        made: Plan to carry out.
        catalog: Catalog to look slugs up in.
        out: Folder to write.
        end: Moment at which the last training should be done, on the monotonic clock.
        as_json: Whether the result is printed as JSON.

    Returns:
        The exit status.
    """
    from nasplug.cli.progress import LiveDisplay
    from nasplug.run.api import run_spec
    from nasplug.run.recommendation import recommend

    storage = str(made.spec.run.storage)
    made = made.within(end - time.monotonic())
    try:
        study = run_spec(made.spec, trackers=[LiveDisplay()])
        best = recommend(study, storage, catalog).trial
        result = _final(study, best, made, catalog, out / "network", end)
    except KeyboardInterrupt:
        print(f"\nnasplug: stopped; every finished trial is in {storage}; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    try:
        report = str(study.report(out / "report.html"))
    except MissingExtraError as error:
        report = f"not written: {error.what}; {error.fix}"
    if as_json:
        output.print_json({**result, "report": report, "specification": str(out / "search.yaml")})
        return 0
    _print(study, best, result)
    for name, path in {
        "report": report,
        "network": out / "network",
        "study": storage,
        "search": out / "search.yaml",
    }.items():
        print(f"{name:8}  {path}")
    return 0


def _final(study: Study, best: Trial, made: Plan, catalog: Catalog, folder: Path, end: float) -> Result:
    from nasplug.auto.planning import LONGEST
    from nasplug.auto.speed import Speed
    from nasplug.cli.progress import EpochDisplay
    from nasplug.cli.retrain import RESULT, result_json
    from nasplug.export.retrain import retrain

    searched = study.budget_of(best).epochs
    per_epoch = VALIDATION * Speed(made.spec, catalog).of(best.architecture)
    left = max(made.final_seconds / 2, end - time.monotonic())
    epochs = max(searched, min(LONGEST, int(left / max(per_epoch, 1e-6))))
    print(
        f"\ntraining {output.titled(best.number, study.label(best))} fully: {plural(epochs, 'epoch')}", file=sys.stderr
    )
    formats = ["model_card", *(["onnx"] if available("onnxscript") and available("onnxruntime") else [])]
    with EpochDisplay(epochs) as display:
        done = retrain(
            made.spec,
            best,
            catalog,
            folder,
            epochs=epochs,
            seed=made.spec.run.seed,
            emit=display.measured,
            formats=formats,
        )
    result = result_json(done, str(made.spec.run.storage), folder, label=study.label(best))
    (folder / RESULT).write_text(json.dumps(output.json_safe(result), indent=2) + "\n", encoding="utf-8")
    return result


def _print(study: Study, best: Trial, result: Result) -> None:
    networks = len({trial.architecture.key for trial in study.trials})
    print(
        f"\n{plural(len(study.trials), 'training')} of {plural(networks, 'network')}; "
        f"the best is {output.titled(best.number, study.label(best))}"
    )
    print(f"  validation  {output.values(result['validation'])}")
    tested = f"not tested: {result['untested']}" if result["test"] is None else output.values(result["test"])
    print(f"  test        {tested}")
    print(f"  size        {output.values(result['costs'])}\n")
