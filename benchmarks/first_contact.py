"""The path of a stranger: wheels into their own project, ten lines, the first finished trial, a report, an ONNX file.

In an empty folder with an environment of its own: nasplug and nasplug-qnas are installed from freshly built wheels; the
stranger has a folder of PNG images (digits of scikit-learn, twice enlarged) and a short script.
The exported ONNX file is then run by onnxruntime on the raw validation files, by code that knows
nothing of nasplug, and its accuracy compared with that of the search. Every step is a process of its own.

Run: python benchmarks/first_contact.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _record import record

ROOT = Path(__file__).parent.parent
SEED = 0

IMAGES = """
from pathlib import Path
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.images))[:900]
for position, index in enumerate(order):
    split = "val" if position % 3 == 0 else "train"
    folder = Path("digits") / split / str(digits.target[index])
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.kron(digits.images[index] * 15.9, np.ones((2, 2))).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"{index}.png")
"""
SCRIPT = """
import time
import nasplug as nas

class FirstTrial(nas.Tracker):
    def observed(self, trial):
        if trial.number == 0:
            print("first", time.time())

study = nas.search(
    nas.component("image_classification", data=nas.component("folder", path="digits")),
    space=nas.component("qnas.conv", nodes=3, width=0.25),
    strategy="qnas", trials=8, epochs=10, storage="study.sqlite", trackers=[FirstTrial()], progress=False,
)
study.report("report.html")
print("best", study.best.metrics["val_acc"])
"""
OWN_EYES = """
import json, sys
from pathlib import Path
import numpy as np
import onnxruntime
from PIL import Image

file = next(Path(sys.argv[1]).rglob("*.onnx"))
session = onnxruntime.InferenceSession(str(file))
names = sorted(path.name for path in Path("digits/val").iterdir())
right = []
for path in sorted(Path("digits/val").rglob("*.png")):
    pixels = np.asarray(Image.open(path))[None, None]
    scores = session.run(None, {session.get_inputs()[0].name: pixels})[0]
    right.append(names[int(scores.argmax())] == path.parent.name)
print(json.dumps({"accuracy": float(np.mean(right)), "files": len(right)}))
"""


def step(times: dict[str, float], name: str, command: list[str | Path], folder: Path) -> str:
    """Runs a command in the stranger's project, notes its wall time, and returns what it prints."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=folder, env=clean, capture_output=True, text=True)
    times[name] = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def walk(folder: Path) -> dict[str, Any]:
    """Goes the whole way."""
    times: dict[str, float] = {}
    dist, project = folder / "dist", folder / "project"
    project.mkdir()
    for source in (ROOT, ROOT / "plugins" / "qnas"):
        step(times, f"build {source.name if source != ROOT else 'core'}", ["uv", "build", "--wheel", "--out-dir", dist, source], folder)  # fmt: skip  # noqa: E501
    environment = project / ".venv"
    step(times, "make environment", ["uv", "venv", "--python", sys.executable, environment], project)
    python = environment / "bin" / "python"
    core, qnas = next(dist.glob("nasplug-*.whl")), next(dist.glob("nasplug_qnas-*.whl"))
    wanted = [f"nasplug[train,report,onnx] @ {core.as_uri()}", str(qnas)]
    step(times, "install", ["uv", "pip", "install", "--python", python, *wanted, "scikit-learn"], project)
    step(times, "write images", [python, "-c", IMAGES], project)
    (project / "search_mine.py").write_text(SCRIPT)
    started = time.time()
    printed = dict(line.split() for line in step(times, "search", [python, "search_mine.py"], project).splitlines()
                   if line.startswith(("first", "best")))  # fmt: skip
    first = float(printed["first"]) - started
    exported = [environment / "bin" / "nasplug", "export", "study.sqlite", "--format", "onnx", "--out", "exported"]
    step(times, "export", exported, project)
    seen = json.loads(step(times, "onnxruntime on raw files", [python, "-c", OWN_EYES, "exported"], project))
    page = project / "report.html"
    return {
        "seeds": [SEED],
        "note": "wall time of a machine that other work shares: an upper bound",
        "lines_of_the_script": len(SCRIPT.strip().splitlines()),
        "wall_seconds": times,
        "from_start_of_the_script_to_first_trial": first,
        "from_nothing_to_first_trial": times["make environment"] + times["install"] + first,
        "report_kilobytes": page.stat().st_size / 1024,
        "search_val_acc": float(printed["best"]),
        "onnx_val_acc_on_raw_files": seen["accuracy"],
        "validation_files": seen["files"],
    }


def main() -> None:
    """Walks, prints and records."""
    with tempfile.TemporaryDirectory() as folder:
        found = walk(Path(folder))
    print(json.dumps(found, indent=1))
    print(record("first_contact", found).name)


if __name__ == "__main__":
    main()
