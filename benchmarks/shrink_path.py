"""A user's path, timed: from a checkpoint of timm's resnet18 on a folder of images to a quarter of it, in one command.

CIFAR-10 (JPEG) is written as a folder of image files, and a resnet18 is trained on it as a person would do it in plain
torch. Then one command, in an empty folder and in a process of its own, shrinks it and writes ONNX; it is timed from
its start to its end. The ONNX file and the written network are opened again in other processes.

Run: OMP_NUM_THREADS=1 python benchmarks/shrink_path.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _continual import _whole
from _record import record
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

KEEP = 0.25
SEED = 0

AGAIN = """
import sys
from nasplug_reduction import load
print(sum(p.numel() for p in load(sys.argv[1]).parameters()))
"""


def folder_of_images(data: Path, folder: Path, train: int, val: int) -> None:
    """Writes images as files: `train/class/number.png` and `val/class/number.png`."""
    whole = _whole(str(data))
    assert whole.x_test is not None
    assert whole.y_test is not None
    parts = (("train", whole.x_train, whole.y_train, train), ("val", whole.x_test, whole.y_test, val))
    for part, images, classes, count in parts:
        for index in range(count):
            name = whole.classes[int(classes[index])]
            path = folder / part / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(path)


def checkpoint(folder: Path, path: Path, epochs: int) -> None:
    """Trains resnet18 in plain torch, with the normalisation of timm's weights, and saves its state_dict."""
    import timm

    torch.manual_seed(SEED)
    files = sorted((folder / "train").glob("*/*.png"))
    names = sorted({file.parent.name for file in files})
    images = torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files]) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (images - mean[:, None, None]) / deviation[:, None, None]
    classes = torch.tensor([names.index(file.parent.name) for file in files])
    network = timm.create_model("resnet18", num_classes=len(names))
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for x, y in DataLoader(TensorDataset(images, classes), 64, shuffle=True):
            optimizer.zero_grad()
            functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        schedule.step()
    torch.save(network.state_dict(), path)


def run(command: list[str], folder: Path) -> str:
    """Runs a program in a folder, and returns what it printed; what it says goes to the terminal."""
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Prepares, runs the command, looks at what it wrote, and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--val", type=int, default=100)
    parser.add_argument("--pretraining", type=int, default=4, help="epochs of the checkpoint")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of the final training")
    parser.add_argument("--strategy", default="reduction.evolution")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder_of_images(arguments.data, root / "images", arguments.train, arguments.val)
        checkpoint(root / "images", root / "w.pt", arguments.pretraining)
        empty = root / "empty"
        empty.mkdir()
        options = ["--weights", "../w.pt", "--data", "../images", "--keep", str(KEEP), "--onnx", "small.onnx"]
        options += ["--input", "3x32x32"]
        options += ["--strategy", arguments.strategy, "--epochs", str(arguments.epochs)]
        command = [sys.executable, "-m", "nasplug.cli", "shrink", "timm:resnet18", *options, "--json"]
        started = time.perf_counter()
        answer = run(command, empty)
        seconds = time.perf_counter() - started
        found: dict[str, Any] = json.loads(answer)
        files = [path for path in sorted(empty.rglob("*")) if path.is_file()]
        sizes = {str(path.relative_to(empty)): path.stat().st_size for path in files}
        loaded = run([sys.executable, "-c", AGAIN, "runs/resnet18-reduced"], empty)
        image = str(next((root / "images" / "val").rglob("*.png")))
        predicted = run([sys.executable, "-m", "nasplug.cli", "predict", "small.onnx", image, "--json"], empty)
    rows = {row["name"]: row for row in found["rows"]}
    result = {
        "seeds": [SEED],
        "note": "no GPU; two cores shared with other work",
        "command": f"nasplug shrink timm:resnet18 {' '.join(options)}",
        "settings": {key: value for key, value in vars(arguments).items() if key not in ("data", "out")},
        "seconds": round(seconds, 1),
        "rows": rows,
        "params_of_original": rows["found"]["params"] / rows["original"]["params"],
        "trials": 1 + max(row["trial"] for row in rows.values()),
        "files": len(sizes),
        "bytes": {name: size for name, size in sizes.items() if "study.files" not in name},
        "bytes_of_the_study": sum(size for name, size in sizes.items() if "study" in name),
        "params_of_what_is_loaded_again": int(loaded),
        "onnx_predicts": bool(json.loads(predicted)),
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("shrink_path", result, packages=("nasplug-reduction", "timm", "onnxruntime"), **folder)


if __name__ == "__main__":
    main()
