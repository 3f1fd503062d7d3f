"""The NPU model beside SCALE-Sim and ZigZag on the same layers, in one run: clocks, and the CPU time they take.

Both need other versions of NumPy than nasplug, so they run in environments of their own. Give their interpreters:

    uv venv scalesim && uv pip install --python scalesim/bin/python "scalesim==3.0.0" "numpy<2"
    uv venv zigzag && uv pip install --python zigzag/bin/python "zigzag-dse==3.9.1" six
    python benchmarks/npu_peers.py --scalesim scalesim/bin/python --zigzag zigzag/bin/python
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from nasplug_npu import NPU, preset
from nasplug_npu.formats.scalesim import to_scalesim
from nasplug_npu.formats.zigzag import to_zigzag
from nasplug_npu.networks import NETWORKS

from nasplug.workloads.workload import Workload

SIZE = 16
_SCALESIM = f"""[general]
run_name = run
[architecture_presets]
ArrayHeight: {SIZE}
ArrayWidth: {SIZE}
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: FLOW
Bandwidth: 10
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
_ZIGZAG = """
import json, logging, sys
logging.disable(logging.CRITICAL)
import yaml, zigzag
from pathlib import Path
from zigzag.api import get_hardware_performance_zigzag
inputs = Path(zigzag.__file__).parent / "inputs"
size = int(sys.argv[2])
hardware = yaml.safe_load((inputs / "hardware/tpu_like.yaml").read_text())
hardware["operational_array"]["sizes"] = [size, size]
mapping = yaml.safe_load((inputs / "mapping/default.yaml").read_text())
mapping[0]["spatial_mapping"] = {"D1": [f"K, {size}"], "D2": [f"C, {size}"]}
Path("hardware.yaml").write_text(yaml.safe_dump(hardware, sort_keys=False))
Path("mapping.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False))
_, _, results = get_hardware_performance_zigzag(
    sys.argv[1], "hardware.yaml", "mapping.yaml", opt="latency", dump_folder="out", pickle_filename="out/x.pickle",
    lpf_limit=4, loma_show_progress_bar=False,
)
found = []
for layer in results[0][1]:
    evaluation = layer[0]
    cycles = {"temporal": float(evaluation.ideal_temporal_cycle), "total": float(evaluation.latency_total2)}
    found.append({"name": evaluation.layer.name, **cycles})
print("RESULT" + json.dumps(found))
"""


def timed(words: list[str], folder: Path) -> tuple[str, float]:
    """Standard output and seconds of CPU time of a program."""
    before = os.times()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout, after.children_user - before.children_user + after.children_system - before.children_system


def our_cycles(name: str, workload: Workload) -> tuple[list[float], float]:
    """Clocks of the array by layer, and seconds of CPU time for the whole network, the best of several."""
    unit, best = NPU(name), np.inf
    for _ in range(20):
        unit = NPU(name)
        started = time.process_time()
        unit.totals(workload)
        best = min(best, time.process_time() - started)
    cycles = unit.evaluate(workload).layers["compute_cycles"]
    return [float(cycles[row]) for row in np.flatnonzero(workload.macs)], best


def scalesim(python: Path, workload: Workload) -> dict[str, Any]:
    """Clocks of the array for every dataflow."""
    found: dict[str, Any] = {}
    for flow in ("ws", "os", "is"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "run.cfg").write_text(_SCALESIM.replace("FLOW", flow))
            (folder / "net.csv").write_text(to_scalesim(workload))
            (folder / "layout.csv").write_text("Layer name,\n")
            words = [str(python), "-m", "scalesim.scale", "-t", "net.csv", "-l", "layout.csv", "-c", "run.cfg"]
            _, seconds = timed([*words, "-p", "out", "-s", "N"], folder)
            (report,) = folder.rglob("COMPUTE_REPORT.csv")
            with report.open(newline="") as file:
                # "Total Cycles" is computing, with stalls; there are none at this bandwidth.
                theirs = [float(row[" Total Cycles"]) for row in csv.DictReader(file)]
        ours, own = our_cycles(f"systolic_{SIZE}x{SIZE}_{flow}", workload)
        equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
        found[flow] = {"layers": len(ours), "equal": equal, "ours": sum(ours), "theirs": sum(theirs)}
        found[flow] |= {"their_seconds": seconds, "our_seconds": own}
    return found


def zigzag(python: Path, workload: Workload) -> dict[str, Any]:
    """Temporal clocks of the default mapping."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.yaml").write_text(to_zigzag(workload))
        (folder / "out").mkdir()
        said, seconds = timed([str(python), "-c", _ZIGZAG, "net.yaml", str(SIZE)], folder)
    match = re.search(r"RESULT(.*)", said)
    assert match is not None
    ours, own = our_cycles("zigzag_kc_16x16", workload)
    by_name = {layer["name"]: layer for layer in json.loads(match[1])}  # in an order of its own
    theirs = [by_name[workload.names[row]] for row in np.flatnonzero(workload.macs)]
    equal = sum(a == b["temporal"] for a, b in zip(ours, theirs, strict=True))
    totals = {"ours": sum(ours), "theirs": sum(layer["temporal"] for layer in theirs)}
    whole = {
        "our_latency_cycles": NPU(preset("zigzag_kc_16x16")).totals(workload)["cycles"],
        "their_latency_cycles": sum(layer["total"] for layer in theirs),
    }
    return {"layers": len(ours), "equal": equal} | totals | whole | {"their_seconds": seconds, "our_seconds": own}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scalesim", type=Path)
    parser.add_argument("--zigzag", type=Path)
    parser.add_argument("--network", default="resnet8", choices=sorted(NETWORKS))
    arguments = parser.parse_args()
    workload = NETWORKS[arguments.network]()
    result: dict[str, Any] = {"seeds": [], "network": arguments.network, "array": f"{SIZE}x{SIZE}"}
    if arguments.scalesim:
        result["scalesim"] = {"version": "3.0.0", **scalesim(arguments.scalesim.absolute(), workload)}
    if arguments.zigzag:
        result["zigzag"] = {"version": "3.9.1", **zigzag(arguments.zigzag.absolute(), workload)}
    print(record("npu_peers", {"seeds": [], **result}))


if __name__ == "__main__":
    main()
