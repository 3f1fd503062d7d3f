"""Memory that the plan of a segmentation states beside what training the planned network takes.

Volumes of the hippocampus of the Medical Segmentation Decathlon; for several limits, patch, depth and batch as
proposed, and the DynUNet of the space `monai` trained for some steps, each in a process of its own. Measured is the
growth of the largest resident memory over that before the network is built, with all libraries loaded and the cases
prepared: weights, gradients, moments, feature maps, and what the processor's kernels need. A validation of whole
volumes follows, and what it adds is given apart.

    uv run python benchmarks/segmentation_memory.py ../shared/data/msd_hippocampus/msd_hippocampus.npz
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from _record import record

#: Limits in GiB for each number of dimensions. The largest proposals that the volumes need stay below.
LIMITS = {3: (0.32, 0.45, 0.7, 1.2), 2: (0.26, 0.3, 1.0)}
STEPS = 3


def peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def resident() -> float:
    """Resident memory of this process now, in GiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def arm(path: str, dimensions: int, limit: float) -> dict:
    """Trains the planned network for some steps."""
    import numpy as np
    import torch
    from pytorch_lightning import Callback, Trainer

    from nasplug.data.volumes import Folds, NpzVolumes
    from nasplug.spaces.medical import MonaiSpace
    from nasplug.tasks.segmentation import Patches, Segmentation

    torch.set_num_threads(1)
    task = Segmentation(NpzVolumes(path, channels=["MRI"]), dimensions, Patches(memory_gib=limit), folds=Folds())
    plan = task.plan
    data = task.datamodule()
    data.parts = type(data.parts)(data.parts.train, data.parts.val[:2], ())
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    warm = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.InstanceNorm2d(2))
    torch.optim.AdamW(warm.parameters())
    warm(torch.zeros(1, 1, 8, 8)).sum().backward()
    before = resident()
    peaks = []

    class Look(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            peaks.append(peak())

    space = MonaiSpace(["dynunet"])
    network = space.build(space.sample(np.random.default_rng(0)), task)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=STEPS,
        num_sanity_val_steps=0,
        callbacks=[Look()],
        **options,
    )
    trainer.fit(task.module(network, {}), datamodule=data)
    return {
        "limit_gib": limit,
        "patch": list(plan.patch_size),
        "batch": plan.batch_size,
        "strides": [list(stride) for stride in plan.strides],
        "stated_gib": plan.memory_gib,
        "before_gib": before,
        "training_gib": peaks[-1] - before,
        "after_each_step_gib": [each - before for each in peaks],
        "with_validation_gib": peak() - before,
        "ratio": (peaks[-1] - before) / plan.memory_gib,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="msd_hippocampus.npz")
    parser.add_argument("--arm", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        print(json.dumps(arm(arguments.data, int(arguments.arm[0]), float(arguments.arm[1]))))
        return
    rows: dict[str, list[dict]] = {}
    for dimensions, limits in LIMITS.items():
        for limit in limits:
            words = [
                sys.executable,
                __file__,
                str(Path(arguments.data).resolve()),
                "--arm",
                str(dimensions),
                str(limit),
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            rows.setdefault(f"{dimensions}d", []).append(row)
            print(dimensions, row, flush=True)
    ratios = {
        name: {"low": min(row["ratio"] for row in found), "high": max(row["ratio"] for row in found)}
        for name, found in rows.items()
    }
    print(
        record(
            "segmentation_memory", {"seeds": [0], "steps": STEPS, "ratios": ratios, "rows": rows}, packages=("monai",)
        )
    )


if __name__ == "__main__":
    main()
