"""What trained networks compute on images: the labels of info-NAS, taken out of any study that kept its weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import nasplug as nas
from nasplug.contract.errors import DataError, SpecError, TaskError
from nasplug.contract.jsondata import parse_json
from nasplug.contract.records import Architecture, Genotype, freeze
from nasplug.data.archives import arrays_in
from nasplug.files import complete_file

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledNetwork:
    """One trained network, seen from its last layer.

    Attributes:
        genotype: Genotype of the architecture.
        features: Float32 (M, F), what the last linear layer receives for each image.
        weight: Float32 (O, F), of that layer.
        bias: Float32 (O,), of that layer.
        score: The study's main objective, signed so that larger is better.
    """

    genotype: Genotype
    features: Floats
    weight: Floats
    bias: Floats
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class IOData:
    """Networks of one space and what they compute on the same images.

    Attributes:
        space: Name of the space.
        images: Float32 (M, C, H, W), as the networks saw them.
        labels: Int64 (M,), the true classes.
        networks: The networks.
    """

    space: str
    images: Floats
    labels: NDArray[np.int64]
    networks: tuple[LabelledNetwork, ...]

    def architectures(self, space: Any) -> list[Architecture]:
        """The networks as architectures of their space.

        Raises:
            DataError: `space` is another one.
        """
        if space.name != self.space:
            raise DataError(f"these networks are of the space {self.space!r}, not {space.name!r}", where="IOData")
        return [space.architecture(network.genotype) for network in self.networks]

    @classmethod
    def from_study(cls, study: nas.Study, images: int = 1000) -> Self:
        """Runs the networks of a study on held-out images.

        Every complete, feasible trial is taken whose weights were kept, each architecture once.

        Args:
            study: Study with a task of classified images; the space builds networks that end in a linear layer.
            images: Number of the task's validation images, from their beginning.

        Raises:
            SpecError: The study has no task, or no network.
            TaskError: A network does not end in a linear layer.
            StudyError: Weights cannot be read.
        """
        if study.task is None:
            raise SpecError("a study without a task has no images to run networks on", where="IOData")
        pixels, labels = _held_out(study.task, images)
        found: dict[str, LabelledNetwork] = {}
        for trial in study.candidates():
            key = trial.architecture.key
            if key not in found and trial.copied_from is None and "weights" in trial.artifacts:
                features, head = penultimate(study.network(trial), pixels)
                weight, bias = head.weight.detach(), head.bias
                if bias is None:
                    bias = torch.zeros(len(weight))
                found[key] = LabelledNetwork(
                    trial.architecture.genotype,
                    features.numpy(),
                    weight.numpy().copy(),
                    bias.detach().numpy().copy(),
                    study.score(trial),
                )
        if not found:
            raise SpecError(
                "no trial of this study kept the weights of a feasible network",
                where="IOData",
                fix="search with the evaluator's option keep=best or keep=last",
            )
        return cls(study.space.name, pixels.numpy(), labels.numpy(), tuple(found.values()))

    def save(self, path: str | Path) -> Path:
        """Writes an .npz without pickle; features as 16-bit floats.

        Raises:
            StorageError: The file cannot be written.
        """
        path = Path(path)
        arrays: dict[str, NDArray[Any]] = {
            "space": np.array(self.space),
            "images": self.images,
            "labels": self.labels,
            "genotypes": np.array([json.dumps(network.genotype) for network in self.networks]),
            "scores": np.array([network.score for network in self.networks]),
        }
        for number, network in enumerate(self.networks):
            arrays[f"features_{number}"] = network.features.astype(np.float16)
            arrays[f"weight_{number}"], arrays[f"bias_{number}"] = network.weight, network.bias
        with complete_file(path, "the labelled networks") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads `save`.

        Raises:
            DataError: The file is missing or damaged.
        """
        fix = "make them with `nasplug infonas label` from a study"
        with arrays_in(path, what="the labelled networks", fix=fix) as file:
            networks = tuple(
                LabelledNetwork(
                    freeze(parse_json(str(text))),
                    file[f"features_{number}"].astype(np.float32),
                    file[f"weight_{number}"],
                    file[f"bias_{number}"],
                    float(score),
                )
                for number, (text, score) in enumerate(zip(file["genotypes"], file["scores"], strict=True))
            )
            return cls(str(file["space"]), file["images"], file["labels"], networks)


def label(space: Any, task: Any, networks: int, *, images: int = 1000, epochs: int = 12, **options: Any) -> IOData:
    """Trains random networks of a space, and runs them on held-out images.

    The training is an ordinary random search with the Lightning evaluator, so `storage`, `workers`, `seed` and every
    other option of `nasplug.search` may be given; with a storage it resumes after an interruption.

    Args:
        space: A space, or its component.
        task: A task of classified images, or its component.
        networks: Number of networks to train.
        images: Number of validation images.
        epochs: Epochs of each training; 12 were published, with SGD at 0.025 and momentum 0.9 on CIFAR-10.
        **options: Options for `nasplug.search`.
    """
    study = nas.search(
        task, space=space, strategy="random", trials=networks, epochs=epochs, **{"progress": False, **options}
    )
    return IOData.from_study(study, images)


def penultimate(network: nn.Module, images: Tensor, batch: int = 256) -> tuple[Tensor, nn.Linear]:
    """What the last linear layer of a network receives.

    Args:
        network: Trained; it is set to evaluation mode.
        images: Float (M, C, H, W).
        batch: Images at a time.

    Returns:
        Features (M, F) and the layer.

    Raises:
        TaskError: The output of the network is not that of its last linear layer.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise TaskError(
            "the network has no linear layer, so it has no penultimate features", where=type(network).__name__
        )
    seen: list[Tensor] = []
    handle = layers[-1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    try:
        network.eval()
        with torch.no_grad():
            answers = torch.cat([network(part) for part in torch.split(images, batch)])
            features = torch.cat(seen) if seen else torch.empty(0, 0)
            if features.ndim != 2 or not torch.equal(
                answers, torch.cat([layers[-1](p) for p in torch.split(features, batch)])
            ):
                raise TaskError(
                    "the output is not that of the last linear layer",
                    where=type(network).__name__,
                    fix="info-NAS needs networks that end in pooled features and one linear layer",
                )
    finally:
        handle.remove()
    return features, layers[-1]


def _held_out(task: Any, count: int) -> tuple[Tensor, Tensor]:
    data = task.datamodule()
    data.prepare_data()
    data.setup("fit")
    pixels, labels, have = [], [], 0
    for x, y in _batches(data.val_dataloader()):
        pixels.append(x)
        labels.append(y)
        have += len(x)
        if have >= count:
            break
    if not pixels:
        raise DataError("the task has no validation images", where="IOData")
    return torch.cat(pixels)[:count], torch.cat(labels)[:count]


def _batches(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    yield from loader
