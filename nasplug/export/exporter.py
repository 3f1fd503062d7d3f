"""Writing a found network in a format: the contract of exporters, and those of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nasplug.contract.errors import StudyError
from nasplug.contract.io import Inputs, OutputSpec, inputs_of, output_of
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.kinds import component_type

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study


@dataclass(frozen=True)
class Found:
    """A found network with everything that a file about it may need.

    Attributes:
        study: The study.
        trial: The trial.
        network: The network with its trained weights, on the CPU and in inference mode.
        inputs: Inputs of the network.
        output: Output of the network.
        classes: Names of the classes, if the task knows them.
        preprocessing: Preprocessing of raw data before the network gets them, as the task describes it: plain data such
            as `{"mean": [0.5], "std": [0.25]}`; empty if the task says nothing.
        answers: Meaning of the output: `classes` (one score for each), `labels` (scores of labels, several of which
            may be right) or `values`.
    """

    study: Study
    trial: Trial
    network: nn.Module
    inputs: Inputs
    output: OutputSpec
    classes: tuple[str, ...] = ()
    preprocessing: JsonObject | None = None
    answers: str = "values"

    @classmethod
    def of(cls, study: Study, trial: Trial, network: nn.Module | None = None) -> Found:
        """Collects what there is to know of a trial's network.

        Args:
            study: The study, with its task.
            trial: The trial.
            network: Network with its trained weights; None loads those of the trial.

        Raises:
            StudyError: No weights were kept, or the study has no task.
        """
        task = study.task
        if task is None:
            raise StudyError("there is no task, so the network has no known input", where="export")
        classes = getattr(task, "class_names", None)
        network = study.network(trial) if network is None else network
        return cls(
            study,
            trial,
            network.cpu().eval(),
            inputs_of(task),
            output_of(task),
            () if classes is None else tuple(map(str, classes)),
            dict(getattr(task, "preprocessing", None) or {}),
            str(getattr(task, "answers", "classes" if classes else "values")),
        )


@component_type("exporter")
@runtime_checkable
class Exporter(Protocol):
    """Writes a network in a format."""

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes the files.

        Args:
            found: The network. Do not change it; others are asked as well.
            folder: Folder to write into; it exists.

        Returns:
            Path by what it is: `{"weights": ..., "architecture": ...}`.

        Raises:
            NasplugError: The network cannot be written in this format.
        """


class Bundle:
    """`bundle`: weights as safetensors, and a code-free JSON file that says what they are the weights of."""

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes two files."""
        from nasplug.export.bundle import BUNDLE, write_files

        return write_files(found, folder, BUNDLE)


class Onnx:
    """`onnx`: one ONNX file for batches of any size, compared with the network in onnxruntime. Needs the extra `onnx`.

    Where the task says how images are preprocessed, the file takes raw pixels (N, C, H, W) and gives class scores. Its
    metadata say how to read image files and what the classes are called.

    Args:
        name: Name of the file.
        raw: Whether the preprocessing of pixels is inside; False writes the bare network.
    """

    def __init__(self, name: str = "network.onnx", raw: bool = True) -> None:
        self.name, self.raw = name, raw

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes one file."""
        from nasplug.export.onnx import write_found

        write_found(found, folder / self.name, raw=self.raw)
        return {"onnx": folder / self.name}


class Program:
    """`program`: one file of `torch.export`, which `torch.export.load` runs without any code of ours.

    As with `onnx`, the preprocessing of pixels is inside where the task knows it.

    Args:
        name: Name of the file.
        raw: Whether the preprocessing of pixels is inside; False writes the bare network.
    """

    def __init__(self, name: str = "network.pt2", raw: bool = True) -> None:
        self.name, self.raw = name, raw

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes one file."""
        from nasplug.export.program import write_program

        write_program(found, folder / self.name, raw=self.raw)
        return {"program": folder / self.name}


class ModelCard:
    """`model_card`: a page in Markdown: what was searched, on which data, with which budget, and what came out.

    Args:
        name: Name of the file.
    """

    def __init__(self, name: str = "README.md") -> None:
        self.name = name

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes one file."""
        from nasplug.export.card import write_card

        return {"card": write_card(found, folder / self.name)}


class Folder:
    """`folder`: a model repository as hubs know it: `model.safetensors`, `config.json` and the model card.

    `huggingface_hub.upload_folder` takes it as it is, and `nasplug predict` and `read_bundle` read it.
    """

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes three files."""
        from nasplug.export.bundle import REPOSITORY, write_files
        from nasplug.export.card import write_card

        return {**write_files(found, folder, REPOSITORY), "card": write_card(found, folder / "README.md")}


class MonaiBundle:
    """`monai_bundle`: a MONAI bundle that `python -m monai.bundle run` executes on NIfTI files, without nasplug.

    For networks of the task `segmentation` on volumes. Reading, intensities, orientation, spacing and windows are in
    its configuration; masks lie on the grid of their files. Needs the extra `medical`.
    """

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes `configs/inference.json`, `configs/metadata.json`, `models/model.ts` and `docs/README.md`."""
        from nasplug.export.monai_bundle import write_monai_bundle

        return write_monai_bundle(found, folder)
