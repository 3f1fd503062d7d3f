"""JSON, YAML and CSV that is read beside specifications and studies."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.faults.formats.payloads import odd_json


def stage(folder: Path) -> None:
    from nasplug.evaluate.stages import Stage

    Stage("one", folder, _trial()).finish({"score": 0.5})


def _trial() -> Any:
    from nasplug.contract.records import Architecture, Proposal, Trial

    return Trial(0, Proposal(Architecture("s", (), "")))


def read_stage(path: Path) -> object:
    from nasplug.evaluate.stages import read_stage

    return read_stage(path.parent, "one", _trial())


def comparison(folder: Path) -> None:
    outcome = {
        "strategy": "random", "regret": [[0.5, 0.2]], "rows": [[0, 1]], "observed": [[0.5, 0.8]], "finished": None,
        "seconds_per_run": [0.1],
    }  # fmt: skip
    data = {"settings": {"trials": 2}, "strategies": {"random": outcome}, "summary": {}}
    (folder / "comparison.json").write_text(json.dumps(data))


def read_comparison(path: Path) -> object:
    from nasplug_tables.bench.comparison import Comparison

    return Comparison.read(path)


def timeloop(folder: Path) -> None:
    from nasplug_npu.formats.timeloop import to_timeloop

    (folder / "layers.yaml").write_text(to_timeloop(_layers()))


def timeloop_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import yaml

    for name, text in yaml_bombs(folder):
        yield name, text
    data = yaml.safe_load(good)
    for what, text in odd_json(data, every=23):
        yield f"with {what}", text.encode()


def yaml_bombs(folder: Path) -> Iterable[tuple[str, bytes]]:
    """Tags that call, aliases that multiply, and depth."""
    for tag in (
        "object/apply:os.system",
        "object/new:subprocess.Popen",
        "name:os.system",
        "module:os",
        "object:os.system",
    ):
        yield f"with the tag {tag}", f"problem: !!python/{tag} ['touch {folder}/PWNED']\n".encode()
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    yield "of aliases", laughs.encode()
    yield "of aliases in the problem", (laughs + "problem: {instance: *a11, shape: *a11}\n").encode()
    yield (
        "of merges",
        b"".join(
            b"m%d: &m%d {<<: [%s], k%d: 1}\n" % (n, n, b", ".join([b"*m%d" % (n - 1)] * 9) if n else b"", n)
            for n in range(8)
        ),
    )
    yield "of itself", b"problem: &p {instance: *p, shape: *p}\n"
    yield "of a list of itself", b"problem: &p [*p, *p]\n"
    yield "of depth", b"problem: " + b"[" * 20_000
    yield "of maps of depth", b"{a: " * 20_000
    yield "of dates", b"problem: {instance: 2001-13-45}\n"
    yield "of sexagesimal numbers", b"problem: {instance: {C: " + b"190:20:30:" * 50 + b"1}}\n"
    yield "of bytes", b"problem: !!binary x\n"
    yield "of zero bytes", b"problem: \0\n"
    yield "in UTF-16", "problem: {}".encode("utf-16")
    yield "of nothing", b""
    yield "of many documents", b"--- 1\n" * 5000


def read_model(path: Path) -> object:
    from nasplug_npu.models import read_workload

    return read_workload(str(path), None, argparse.Namespace())


def _layers() -> Any:
    from nasplug.workloads.builder import INPUT, WorkloadBuilder

    builder = WorkloadBuilder((1, 8, 8))
    builder.row("conv", [INPUT], "layer", n=1, ci=1, hi=8, wi=8, co=4, ho=6, wo=6, kh=3, kw=3)
    return builder.build()


def workload(folder: Path) -> None:
    (folder / "network.json").write_text(json.dumps(_layers().to_json()))


def topology(folder: Path) -> None:
    from nasplug_npu.formats.scalesim import to_scalesim

    (folder / "topology.csv").write_text(to_scalesim(_layers()))


def vela(folder: Path) -> None:
    from nasplug_npu.formats.vela import _COLUMNS

    names = list(_COLUMNS.values())
    (folder / "vela.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")


def read_vela(path: Path) -> object:
    from nasplug_npu.formats.vela import read_vela

    return read_vela(path)


def topology_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    lines = good.decode().splitlines()
    for value in ("0", "-1", "x", "nan", "inf", "9" * 30, "9" * 5000, "1e999", "", '"', "x" * 200_000, "=cmd"):
        cells = lines[1].split(",")
        for column in range(len(cells)):
            changed = ",".join([*cells[:column], value, *cells[column + 1 :]])
            yield f"with {value[:20]} in column {column}", f"{lines[0]}\n{changed}\n".encode()
    yield "of more columns", f"{lines[0]}\n{lines[1]},1,2,3\n".encode()
    yield "of fewer columns", f"{lines[0]}\n1\n".encode()
    yield "of a head alone", f"{lines[0]}\n".encode()
    yield "of nothing", b""
    yield "of zero bytes", good + b"\0,\0\n"
    yield "in UTF-16", good.decode().encode("utf-16")


def specification(folder: Path) -> None:
    from tests.faults.hostile import GOOD

    (folder / "spec.yaml").write_text(GOOD)


def specification_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import yaml

    yield from yaml_bombs(folder)
    data = yaml.safe_load(good)
    for what, text in odd_json(data, every=11):
        yield f"with {what}", text.encode()


def read_specification(path: Path) -> object:
    from nasplug.run.spec import read_spec

    return read_spec(path)
