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
    """

    study: Study
    trial: Trial
    network: nn.Module
    inputs: Inputs
    output: OutputSpec
    classes: tuple[str, ...] = ()
    preprocessing: JsonObject | None = None

    @classmethod
    def of(cls, study: Study, trial: Trial) -> Found:
        """Collects what there is to know of a trial's network.

        Raises:
            StudyError: No weights were kept, or the study has no task.
        """
        network, task = study.network(trial), study.task
        if task is None:
            raise StudyError("there is no task, so the network has no known input", where="export")
        classes = getattr(task, "class_names", None)
        return cls(
            study,
            trial,
            network,
            inputs_of(task),
            output_of(task),
            () if classes is None else tuple(map(str, classes)),
            dict(getattr(task, "preprocessing", None) or {}),
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
        from nasplug.export.bundle import ARCHITECTURE, WEIGHTS, write_bundle

        write_bundle(found.study, found.trial, found.network, folder)
        return {"weights": folder / WEIGHTS, "architecture": folder / ARCHITECTURE}


class Onnx:
    """`onnx`: one ONNX file for batches of any size, compared with the network in onnxruntime. Needs the extra `onnx`.

    Args:
        name: Name of the file.
    """

    def __init__(self, name: str = "network.onnx") -> None:
        self.name = name

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes one file."""
        from nasplug.export.onnx import write_onnx

        write_onnx(found.network, found.inputs, folder / self.name)
        return {"onnx": folder / self.name}
