"""`nasplug fingerprint`: what a data set of volumes measures, and the settings that fit it and the memory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.loading import find_plugins
from nasplug.cli.parser import Parser
from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.data.volumes.facts import Fingerprint
    from nasplug.data.volumes.plan import Plan
    from nasplug.data.volumes.source import VolumeSource
    from nasplug.plugins.catalog import Catalog

SUMMARY = "Measure a data set of volumes, and propose patch, depth and batch."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug fingerprint`."""
    parser.add_argument(
        "data", metavar="DATA", help="a Decathlon or nnU-Net folder, an .npz file, or a specification with a task"
    )
    parser.add_argument(
        "--dimensions", type=int, choices=(2, 3), help="2 or 3; default: both, as far as the data allow"
    )
    parser.add_argument("--memory", metavar="GIB", type=float, default=8.0, help="memory of the device; default: 8")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, each case included")


def run(arguments: argparse.Namespace) -> int:
    """Prints the measures and the proposals."""
    from nasplug.data.volumes.facts import fingerprint
    from nasplug.data.volumes.plan import propose

    facts = fingerprint(_source(arguments.data, find_plugins(arguments).catalog))
    wanted = (2, 3) if arguments.dimensions is None else (arguments.dimensions,)
    if arguments.dimensions is None and facts.flat:
        wanted = (2,)
    plans = [propose(facts, dimensions, arguments.memory) for dimensions in wanted]
    if arguments.json:
        output.print_json({"fingerprint": facts.to_plain(), "plans": [plan.to_plain() for plan in plans]})
        return 0
    _print_facts(facts)
    print()
    _print_plans(plans)
    return 0


def _source(path: str, catalog: Catalog) -> VolumeSource:
    """The source that a path stands for, told by what lies there."""
    from nasplug.data.volumes.arrays import NpzVolumes
    from nasplug.data.volumes.decathlon import Decathlon
    from nasplug.data.volumes.nnunet import NnUNet

    place = Path(path).expanduser()
    if place.suffix in (".yaml", ".yml"):
        return _of_spec(place, catalog)
    if place.suffix == ".npz":
        return NpzVolumes(path)
    if not place.exists():
        raise SpecError(f"{path!r} does not exist", where="nasplug fingerprint", fix="correct the path")
    about = place / "dataset.json"
    if not about.is_file():
        raise SpecError(
            f"{path!r} is not a folder with dataset.json, an .npz file or a specification",
            where="nasplug fingerprint",
            fix="write a specification with `task: {segmentation: {data: ...}}` for other layouts: `nifti_pairs` reads "
            "NIfTI files such as those of BIDS, `mask_folder` pictures with masks",
        )
    try:
        keys = set(json.loads(about.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SpecError("cannot read dataset.json", where=str(about), why=str(error)) from error
    return Decathlon(path) if "training" in keys else NnUNet(path)


def _of_spec(path: Path, catalog: Catalog) -> VolumeSource:
    from nasplug.data.volumes.source import VolumeSource
    from nasplug.plugins.component import instantiate
    from nasplug.run.spec import read_spec

    spec = read_spec(path)
    task = None if spec.task is None else instantiate("task", spec.task, catalog, where="task")
    source = getattr(task, "data", None)
    if not isinstance(source, VolumeSource):
        raise SpecError("its task has no volumes", where=str(path), fix="name a segmentation task with its data")
    return source


def _print_facts(facts: Fingerprint) -> None:
    patients = len({case.patient for case in facts.cases})
    print(f"{facts.where}: {plural(len(facts.cases), 'case')} of {plural(patients, 'patient')}")
    shapes = list(zip(*(case.shape for case in facts.cases), strict=True))
    rows = [
        [
            "voxels",
            *(
                f"{min(sizes)} to {max(sizes)}, median {middle}"
                for sizes, middle in zip(shapes, facts.shape, strict=True)
            ),
        ],
        ["spacing, mm", *(f"{size:.4g}" for size in facts.spacing)],
    ]
    output.print_table(["", "right", "front", "up"], rows)
    kinds = sorted({case.orientation for case in facts.cases})
    same = "the same in all cases" if facts.one_spacing else "not the same in all cases"
    print(f"spacing is {same}; axes of the files: {', '.join(kinds)}\n")
    total = sum(sum(case.voxels) for case in facts.cases)
    rows = []
    for index, name in enumerate(facts.classes):
        voxels = [case.voxels[index] for case in facts.cases]
        rows.append([name, f"{100 * sum(voxels) / total:.3g} %", str(sum(count > 0 for count in voxels))])
    output.print_table(["class", "share of voxels", "cases"], rows, numeric=["share of voxels", "cases"])
    print()
    rows = [
        [channel.name, *(output.number(value) for value in (channel.low, channel.median, channel.high, channel.std))]
        for channel in facts.channels
    ]
    columns = ["0.5 %", "median", "99.5 %", "std"]
    output.print_table(["channel, in the foreground", *columns], rows, numeric=columns)


def _print_plans(plans: list[Plan]) -> None:
    def sizes(values: tuple[int, ...]) -> str:
        return " x ".join(map(str, values))

    rows = [
        [
            f"{plan.dimensions}-D",
            sizes(plan.patch_size),
            str(plan.batch_size),
            str(plan.depth),
            " ".join("".join(map(str, stride)) for stride in plan.strides),
            f"{plan.memory_gib:.2g} GiB",
        ]
        for plan in plans
    ]
    output.print_table(["proposal", "patch", "batch", "depth", "strides", "memory of a step"], rows)
