"""What an epoch of the segmentation task costs beside the same training by hand with MONAI, and its peak memory.

Hippocampus volumes of the Medical Segmentation Decathlon; the same network, patches, loss, windows and cases. Every arm
runs in a process of its own, by turns. Seconds are of the processor, as the machine may be shared.

    uv run python benchmarks/segmentation.py ../shared/data/msd_hippocampus/msd_hippocampus.npz
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAIRS, TRAIN, VAL, EPOCHS, BATCH = 3, 40, 10, 4, 4
WIDTHS = (8, 16, 32)
PATCH = (32, 48, 32)


def network(dimensions):
    import torch
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return UNet(dimensions, 1, 3, WIDTHS, (2, 2))


def ours(path, dimensions):
    """Seconds of each epoch of the task."""
    from pytorch_lightning import Callback, Trainer

    from nasplug.data.volumes import Folds, NpzVolumes
    from nasplug.tasks.segmentation import Patches, Segmentation
    from nasplug.tasks.settings import Training

    size = list(PATCH[:dimensions])
    task = Segmentation(
        NpzVolumes(path, channels=["MRI"]),
        dimensions,
        Patches(size=size, batch_size=BATCH if dimensions == 3 else 16, per_epoch=TRAIN if dimensions == 3 else 640),
        folds=Folds(),
        training=Training(lr=1e-3, schedule="none"),
    )
    data = task.datamodule()
    data.parts = type(data.parts)(data.parts.train[:TRAIN], data.parts.val[:VAL], ())
    times = []

    class Clock(Callback):
        def on_train_epoch_start(self, trainer, module):
            self.started = time.process_time()

        def on_train_epoch_end(self, trainer, module):
            times.append(time.process_time() - self.started)

    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_epochs=EPOCHS, num_sanity_val_steps=0, callbacks=[Clock()], **options)
    trainer.fit(task.module(network(dimensions), {}), datamodule=data)
    return times, float(trainer.callback_metrics["val_dice"])


def by_hand(path, dimensions):
    """Seconds of each epoch of what a person would write with MONAI."""
    import numpy as np
    import torch
    from monai.data import CacheDataset, DataLoader, list_data_collate
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss
    from monai.metrics import DiceMetric
    from monai.transforms import (
        ClassesToIndicesd,
        Compose,
        NormalizeIntensityd,
        RandCropByLabelClassesd,
        RandFlipd,
        SpatialPadd,
        SqueezeDimd,
    )

    keys = ("image", "label")
    with np.load(path) as file:
        volumes, masks, shapes, split = (file[name] for name in ("images", "labels", "shapes", "split"))

    def case(i):
        corner = tuple(slice(int(size)) for size in shapes[i])
        return {"image": volumes[i][corner][None].astype(np.float32), "label": masks[i][corner][None]}

    train = [case(i) for i in np.flatnonzero(split == 0)[:TRAIN]]
    held = [case(i) for i in np.flatnonzero(split == 1)[:VAL]]
    size = [*PATCH[:2], 1] if dimensions == 2 else list(PATCH)
    samples = 1 if dimensions == 3 else 16
    steps = [
        NormalizeIntensityd("image"),
        ClassesToIndicesd("label", num_classes=3),
        RandCropByLabelClassesd(
            keys, "label", size, [0.5, 0.25, 0.25], 3, samples, indices_key="label_cls_indices", allow_smaller=True
        ),
        SpatialPadd(keys, size),
        *([SqueezeDimd(keys, dim=-1)] if dimensions == 2 else []),
        *(RandFlipd(keys, 0.5, axis) for axis in range(dimensions)),
    ]
    loader = DataLoader(
        CacheDataset(train, Compose(steps), progress=False),
        BATCH if dimensions == 3 else 1,
        shuffle=True,
        collate_fn=list_data_collate,
    )
    validation = CacheDataset(held, NormalizeIntensityd("image"), progress=False)
    model, loss = network(dimensions), DiceCELoss(False, to_onehot_y=True, softmax=True, batch=True)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4)
    metric = DiceMetric(include_background=False, num_classes=3)
    times, dice = [], 0.0
    for _ in range(EPOCHS):
        started = time.process_time()
        model.train()
        for batch in loader:
            optimizer.zero_grad()
            loss(model(batch["image"]), batch["label"]).backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            for item in validation:
                image = item["image"][None] if dimensions == 3 else item["image"].permute(3, 0, 1, 2)
                label = torch.as_tensor(item["label"])[None]
                logits = sliding_window_inference(image, PATCH[:dimensions], 4, model, overlap=0.5, mode="gaussian")
                logits = logits if dimensions == 3 else logits.permute(1, 2, 3, 0)[None]
                loss(logits, label)
                metric(logits.argmax(1, keepdim=True), label)
        dice = float(metric.aggregate())
        metric.reset()
        times.append(time.process_time() - started)
    return times, dice


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="msd_hippocampus.npz")
    parser.add_argument("--arm", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        import torch

        torch.set_num_threads(1)
        arm, dimensions = arguments.arm
        times, dice = (ours if arm == "task" else by_hand)(arguments.data, int(dimensions))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"epochs": times, "val_dice": dice, "peak_gib": peak}))
        return
    from _record import record

    result = {}
    for dimensions in (3, 2):
        runs = {"hand": [], "task": []}
        for arm in ("hand", "task") * PAIRS:  # by turns, so that a slow minute of the machine meets both
            words = [sys.executable, __file__, str(Path(arguments.data).resolve()), "--arm", arm, str(dimensions)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            runs[arm].append(json.loads(done.stdout.splitlines()[-1]))
        # The first epoch warms up. The fastest of the others is the one that was disturbed least.
        seconds = {arm: min(t for each in found for t in each["epochs"][1:]) for arm, found in runs.items()}
        peaks = {arm: max(each["peak_gib"] for each in found) for arm, found in runs.items()}
        fastest = {arm: [min(each["epochs"][1:]) for each in found] for arm, found in runs.items()}
        ratios = [task / hand for task, hand in zip(fastest["task"], fastest["hand"], strict=True)]
        result[f"{dimensions}d"] = {
            "seconds_per_epoch": seconds,
            "ratio": statistics.median(ratios),
            "ratios": {"low": min(ratios), "high": max(ratios), "all": ratios},
            "peak_gib": peaks,
            "runs": runs,
        }
        print(dimensions, seconds, [round(ratio, 3) for ratio in ratios], peaks)
    settings = {"pairs": PAIRS, "train": TRAIN, "val": VAL, "epochs": EPOCHS, "widths": WIDTHS, "patch": PATCH}
    print(record("segmentation", {"seeds": [0], "settings": settings, **result}, packages=("monai",)))


if __name__ == "__main__":
    main()
