"""Small data sets of volumes: two balls of different brightness in noise, in the layouts that readers know."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np

CLASSES = {"0": "background", "1": "core", "2": "shell"}


def balls(shape=(20, 18, 16), seed=0):
    """An image and its mask: a core inside a shell, somewhere in the middle third."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    centre = [size * rng.uniform(0.4, 0.6) for size in shape]
    away = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True)))
    mask = np.where(away < 3, 1, np.where(away < 5, 2, 0)).astype(np.uint8)
    image = rng.normal(0, 10, shape) + np.array([0, 200, 100])[mask]
    return image.astype(np.float32), mask


def write_nifti(path: Path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4) if affine is None else np.asarray(affine, float)), path)
    return path


def write_decathlon(folder: Path, count=6, shape=(20, 18, 16), affine=None, **about) -> Path:
    training = []
    for number in range(count):
        image, mask = balls(shape, number)
        name = f"case_{number:02d}.nii.gz"
        write_nifti(folder / "imagesTr" / name, image, affine)
        write_nifti(folder / "labelsTr" / name, mask, affine)
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    described = {"labels": CLASSES, "modality": {"0": "MRI"}, "training": training, "test": []}
    (folder / "dataset.json").write_text(json.dumps({**described, **about}))
    return folder


def write_npz(path: Path, count=6, shape=(20, 18, 16), **arrays) -> Path:
    pairs = [balls(shape, number) for number in range(count)]
    given = {
        "images": np.stack([image for image, _ in pairs]),
        "labels": np.stack([mask for _, mask in pairs]),
        "classes": np.array(list(CLASSES.values())),
    }
    np.savez(path, **{**given, **arrays})
    return path
