"""A network of a segmentation as a MONAI bundle: files that `python -m monai.bundle run` executes without nasplug."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nasplug.contract.errors import TaskError
from nasplug.contract.jsondata import Json
from nasplug.data.volumes.masks import CHANNELS
from nasplug.data.volumes.way import VolumeWay

if TYPE_CHECKING:
    from torch import nn

    from nasplug.data.volumes.intensity import Scale
    from nasplug.export.exporter import Found

#: Largest difference that is allowed between the answers of both networks, relative to the largest answer.
TOLERANCE = 1e-4
_WORLD = ("LR", "PA", "IS")
_VERSION = "1.0.0"

#: What the card says of the files beside it.
_USE = """In the folder of this bundle, with `pip install monai nibabel fire`:

```sh
python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir MASKS
```

Each NIfTI file in `IMAGES` becomes `MASKS/NAME_seg.nii.gz` on its own grid. nasplug is not needed."""

Step = dict[str, Json]


def write_monai_bundle(found: Found, folder: Path) -> dict[str, Path]:
    """Writes `configs/inference.json`, `configs/metadata.json`, `models/model.ts` and `docs/README.md`.

    Args:
        found: The network.
        folder: Folder to write; made if it does not exist.

    Returns:
        Path of each file by what it is.

    Raises:
        TaskError: The task does not segment volumes, or its network cannot be written as TorchScript.
    """
    from nasplug.export.card import write_card

    way = _way(found)
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    model = folder / "models" / "model.ts"
    _script(found.network, (len(way.channels), *way.patch)).save(str(model))
    configs = {"inference": inference(way), "metadata": about(found, way)}
    files = {"model": model}
    for name, config in configs.items():
        files[name] = folder / "configs" / f"{name}.json"
        files[name].write_text(json.dumps(config, indent=4) + "\n", encoding="utf-8")
    return {**files, "card": write_card(found, folder / "docs" / "README.md", _USE)}


def inference(way: VolumeWay) -> dict[str, Json]:
    """Returns the configuration that segments every NIfTI file of `dataset_dir` into `output_dir`.

    Args:
        way: Way from a file to a mask.
    """
    axes = range(2, 2 + len(way.patch))
    flips: list[Json] = [[]]
    if way.flips:
        flips = [list(chosen) for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]
    return {
        "imports": ["$import glob", "$import os", "$import monai", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/masks'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "files": "$sorted(glob.glob(@dataset_dir + '/*.nii') + glob.glob(@dataset_dir + '/*.nii.gz'))",
        "network": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "preprocessing": {"_target_": "Compose", "transforms": list(_before(way))},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': file} for file in @files]",
            "transform": "@preprocessing",
        },
        "inferer": _inferer(way),
        "flips": flips,
        "postprocessing": {"_target_": "Compose", "transforms": list(_after(way))},
        "spacing": None if way.spacing is None else [way.spacing[axis] for axis in _axes(way)],
        # An axis whose voxels are within one per cent of the wanted size keeps them.
        "size": (
            "$lambda image: [count if @spacing is None or abs(own / wanted - 1) <= 0.01"
            " else max(1, round(count * own / wanted)) for count, own, wanted"
            " in zip(image.shape[1:], image.pixdim.tolist(), @spacing or [1.0] * 3)]"
        ),
        "resize": (
            "$lambda volume, size: torch.nn.functional.interpolate("
            "volume, size=tuple(size), mode='trilinear', align_corners=False)"
        ),
        "scores": (
            "$lambda volume: torch.stack([@inferer(volume.flip(axes), @network).softmax(1).flip(axes)"
            " for axes in @flips]).mean(0).clamp_min(1e-8).log()"
        ),
        "predict": (
            "$lambda image: monai.data.MetaTensor(@resize("
            "@scores(@resize(image.as_tensor()[None].to(@device), @size(image))), image.shape[1:])[0].cpu(),"
            " meta=image.meta)"
        ),
        "segment": "$torch.no_grad()(lambda item: @postprocessing({**item, 'pred': @predict(item['image'])}))",
        "initialize": ["$monai.utils.set_determinism(seed=0)", "$os.makedirs(@output_dir, exist_ok=True)"],
        "run": ["$[@segment(item)['pred'].shape for item in @dataset]"],
    }


def about(found: Found, way: VolumeWay) -> dict[str, Json]:
    """Returns the metadata of the bundle: versions, classes, and what the network takes and gives.

    Args:
        found: The network.
        way: Way from a file to a mask.
    """
    from nasplug.export.description import facts

    size: list[Json] = list(way.patch)
    classes = {str(index): name for index, name in enumerate(found.classes)}
    modality = way.channels[0] if len(set(way.channels)) == 1 else "n/a"
    scores = {name: value for name, value in found.trial.metrics.items() if name.startswith("val_dice")}
    common: dict[str, Json] = {"type": "image", "spatial_shape": size, "dtype": "float32", "is_patch_data": True}
    return {
        "version": _VERSION,
        "changelog": {_VERSION: "found by nasplug"},
        "monai_version": metadata.version("monai"),
        "pytorch_version": metadata.version("torch").split("+")[0],
        "numpy_version": metadata.version("numpy"),
        "required_packages_version": {"nibabel": metadata.version("nibabel"), "fire": metadata.version("fire")},
        "name": found.study.label(found.trial),
        "task": f"segmentation of {', '.join(found.classes[1:])}",
        "description": f"trial {found.trial.number} of a search for architectures; see docs/README.md",
        "authors": "not stated",
        "copyright": "not stated",
        "data_type": "nifti",
        "image_classes": f"{', '.join(way.channels)}; all channels in one file",
        "label_classes": ", ".join(f"{value} {name}" for value, name in zip(way.values, found.classes, strict=True)),
        "pred_classes": ", ".join(f"{value} {name}" for value, name in zip(way.values, found.classes, strict=True)),
        "eval_metrics": {name: value for name, value in scores.items() if math.isfinite(value)},
        "intended_use": "research",
        "network_data_format": {
            "inputs": {
                "image": {
                    **common,
                    "format": "hounsfield" if modality.lower() == "ct" else "magnitude",
                    "modality": modality,
                    "num_channels": len(way.channels),
                    "value_range": [],
                    "channel_def": {str(index): name for index, name in enumerate(way.channels)},
                }
            },
            "outputs": {
                "pred": {
                    **common,
                    "format": "segmentation",
                    "num_channels": len(classes),
                    "value_range": [],
                    "channel_def": classes,
                }
            },
        },
        "nasplug": msgspec.to_builtins(facts(found)),
    }


def _way(found: Found) -> VolumeWay:
    plain = found.preprocessing or {}
    if plain.get("kind") != "volume":
        raise TaskError(
            "only networks of the task `segmentation` can be written as a MONAI bundle",
            where="exporter 'monai_bundle'",
            why="its configuration reads volumes, and the task does not say how they are preprocessed",
            fix="take --format onnx or bundle",
        )
    way = VolumeWay.of(plain)
    if way.channels in CHANNELS:
        raise TaskError(
            "a network for pictures cannot be written as a MONAI bundle",
            where="exporter 'monai_bundle'",
            why="its configuration reads NIfTI files",
            fix="take --format onnx or bundle, and nasplug predict",
        )
    return way


def _script(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """The network as TorchScript, for batches of any size; compared with it."""
    import torch

    with warnings.catch_warnings(), torch.no_grad(), torch.random.fork_rng(devices=[]):
        # TorchScript is deprecated in torch, and what bundles hold; the tracer's remarks are checked below.
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            trace: Any = torch.jit.trace
            traced = trace(network, torch.randn(2, *shape), check_trace=False)
            for batch in (1, 3):
                given = torch.randn(batch, *shape)
                expected, answer = network(given), traced(given)
                apart = float((expected - answer).abs().max() / expected.abs().max().clamp_min(1e-6))
                if not apart <= TOLERANCE:
                    raise ValueError(f"its answer to {batch} windows differs by {apart:.1e} of the largest")
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise TaskError(
                "the network cannot be written as TorchScript",
                where="exporter 'monai_bundle'",
                why=" ".join(str(error).split())[:300],
                fix="take --format onnx or bundle",
            ) from error
    return traced


def _before(way: VolumeWay) -> list[Json]:
    steps: list[Json] = [
        {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
        {
            "_target_": "EnsureChannelFirstd",
            "keys": "image",
            **({"channel_dim": "no_channel"} if len(way.channels) == 1 else {"channel_dim": -1}),
        },
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]
    if way.nan == "keep":
        steps.append({"_target_": "SignalFillEmptyd", "keys": "image", "replacement": 0.0})
    if len(set(way.intensity)) == 1:
        steps += _scaled(way.intensity[0], "image")
    else:
        keys: list[Json] = [f"image_{index}" for index in range(len(way.intensity))]
        steps.append({"_target_": "SplitDimd", "keys": "image", "dim": 0})
        for key, scale in zip(keys, way.intensity, strict=True):
            steps += _scaled(scale, str(key))
        steps.append({"_target_": "ConcatItemsd", "keys": keys, "name": "image", "dim": 0})
        steps.append({"_target_": "DeleteItemsd", "keys": keys})
    codes = "".join(way.orientation[axis] for axis in _axes(way))
    labels: list[Json] = [list(pair) for pair in _WORLD]
    return [*steps, {"_target_": "Orientationd", "keys": "image", "axcodes": codes, "labels": labels}]


def _axes(way: VolumeWay) -> list[int]:
    """Axes to the right, the front and up in the order in which networks see them: that of the slices is the last."""
    return [axis for axis in range(3) if axis != way.slices] + [way.slices]


def _scaled(scale: Scale, key: str) -> list[Json]:
    if scale.kind == "none":
        return []
    if scale.kind == "zscore":
        return [{"_target_": "NormalizeIntensityd", "keys": key, "channel_wise": True}]
    if scale.kind == "minmax":
        return [
            {
                "_target_": "ScaleIntensityRangePercentilesd",
                "keys": key,
                "lower": 0.5,
                "upper": 99.5,
                "b_min": 0.0,
                "b_max": 1.0,
                "clip": True,
                "channel_wise": True,
            }
        ]
    spread = max(scale.std, 1e-8)
    return [
        {
            "_target_": "ScaleIntensityRanged",
            "keys": key,
            "a_min": scale.low,
            "a_max": scale.high,
            "b_min": (scale.low - scale.mean) / spread,
            "b_max": (scale.high - scale.mean) / spread,
            "clip": True,
        }
    ]


def _inferer(way: VolumeWay) -> Step:
    common: Step = {"sw_batch_size": way.windows, "overlap": way.overlap, "mode": "gaussian"}
    if len(way.patch) == 3:
        return {"_target_": "SlidingWindowInferer", "roi_size": list(way.patch), **common}
    return {"_target_": "SliceInferer", "spatial_dim": 2, "roi_size": list(way.patch), **common}


def _after(way: VolumeWay) -> list[Json]:
    steps: list[Json] = [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    values: list[Json] = list(way.values)
    if values and values != list(range(len(values))):
        steps.append(
            {
                "_target_": "MapLabelValued",
                "keys": "pred",
                "orig_labels": list(range(len(values))),
                "target_labels": values,
            }
        )
    small = not way.values or (min(way.values) >= 0 and max(way.values) <= 255)
    steps.append(
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "seg",
            "output_ext": ".nii.gz",
            "output_dtype": f"$numpy.{'uint8' if small else 'int16'}",
            "resample": False,
            "separate_folder": False,
            "print_log": False,
        }
    )
    return steps
