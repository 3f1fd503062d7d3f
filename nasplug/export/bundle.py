"""A network as two files: `weights.safetensors`, and `architecture.json`, which says what it is without any code."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import StorageError, StudyError
from nasplug.contract.io import Inputs, OutputSpec, inputs_of, output_of
from nasplug.plugins.component import plain
from nasplug.plugins.trust import trusted, untrusted

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.records import Scalar, Trial
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog

FORMAT = 1
ARCHITECTURE = "architecture.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Shapes:
    """The part of a task that building a network needs.

    Attributes:
        inputs: Inputs of the network.
        output: Output of the network.
        objectives: None.
    """

    inputs: Inputs
    output: OutputSpec
    objectives: Mapping[str, str] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input."""
        return self.inputs.shape

    @property
    def outputs(self) -> int:
        """Number of channels of the output."""
        return self.output.channels

    def datamodule(self) -> LightningDataModule:
        """There are no data in an exported network.

        Raises:
            StudyError: Always.
        """
        raise StudyError("an exported network has no data")

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar]) -> LightningModule:
        """There is no training in an exported network.

        Raises:
            StudyError: Always.
        """
        raise StudyError("an exported network has no training module")

    def check_hyperparameters(self, names: Sequence[str]) -> None:
        """Nothing is trained here, so nothing is refused."""


def write_bundle(study: Study, trial: Trial, network: nn.Module, folder: str | Path) -> Path:
    """Writes weights and architecture of a network.

    Args:
        study: The study, with its task.
        trial: The trial that describes the network.
        network: Network with its trained weights.
        folder: Folder to write; made if it does not exist; files of an earlier export in it are replaced.

    Returns:
        The folder.
    """
    from nasplug.evaluate.weights import save_weights
    from nasplug.run.api import versions

    if study.task is None:
        raise StudyError("there is no task, so the network has no known input", where="export")
    opened = study.opened()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(network, folder / WEIGHTS)
    spec = study.meta["spec"]
    runs = study.meta.get("runs") or [{}]
    classes = getattr(study.task, "class_names", None)
    inputs, output = inputs_of(study.task), output_of(study.task)
    data = {
        "format": FORMAT,
        "space": spec["space"],
        "build": spec.get("build", []),
        # Whoever changed the network while it trained is asked to repeat that, wherever the specification names it.
        "editors": [[kind, plain(item)] for kind, item in opened.editors()] if opened and trial.edits else [],
        "plugins": spec.get("plugins", []),
        "architecture": trial.architecture.to_json(),
        "hyperparameters": dict(trial.hyperparameters),
        "edits": [dict(record) for record in trial.edits],
        "input_shape": list(inputs.shape),
        "outputs": output.channels,
        "inputs": inputs.to_plain(),
        "output": {"kind": output.kind, "channels": output.channels},
        "classes": None if classes is None else list(classes),
        "metrics": _finite(trial.metrics),
        "costs": _finite(trial.costs),
        "trial": {"number": trial.number, "seed": trial.seed, "epochs": study.budget_of(trial).epochs},
        "versions": {"trained": runs[-1].get("versions", {}), "exported": versions()},
        "weights": {
            "file": WEIGHTS,
            "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        },
    }
    (folder / ARCHITECTURE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return folder


def read_bundle(folder: str | Path, *, catalog: Catalog | None = None, trust: bool = False) -> nn.Module:
    """Builds an exported network again and loads its weights; needs the plugins of its space and its wrappers.

    Args:
        folder: Folder from `write_bundle`.
        catalog: Catalog to look the space up in; default: all installed plugins and, with `trust`, the files it names.
        trust: Whether class paths and plugin files that the bundle names may run.

    Returns:
        The network, in inference mode.

    Raises:
        StorageError: A file is missing or does not belong to the other.
        TrustError: It names code from outside the installed plugins.
        NasplugError: A plugin is not installed.
    """
    import torch
    from safetensors.torch import load_model

    folder = Path(folder)
    data = _read(folder)
    weights = folder / data["weights"]["file"]
    if hashlib.sha256(weights.read_bytes()).hexdigest() != data["weights"]["sha256"]:
        raise StorageError("the weights are not those that were exported", where=str(weights), fix="export it again")
    with contextlib.nullcontext() if trust or not trusted() else untrusted():
        network = _build(data, catalog)
    try:
        load_model(network, str(weights))
    except RuntimeError as error:
        raise StorageError(
            "the weights do not fit the network",
            where=str(weights),
            why=str(error),
            fix=f"build it with the versions that wrote it: {data['versions']['exported']}",
        ) from error
    assert isinstance(network, torch.nn.Module)
    return network.eval()


def _build(data: Mapping[str, Any], catalog: Catalog | None) -> nn.Module:
    from nasplug.contract.records import Architecture, Proposal, Trial
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.ledger.ledger import Ledger
    from nasplug.ledger.view import Setting
    from nasplug.plugins.component import Component, instantiate
    from nasplug.plugins.discovery import discover
    from nasplug.plugins.manager import Manager
    from nasplug.run.base import Base

    catalog = catalog or discover(data["plugins"]).catalog
    manager = Manager([("space", Base())])
    for position, item in enumerate(data["build"]):
        wrapper = instantiate("wrapper", Component.parse(item, where="build"), catalog, where=f"build[{position}]")
        manager.register(wrapper, name=f"build#{position}")
    for position, (kind, plain_item) in enumerate(data.get("editors", ())):
        where = f"editors[{position}]"
        manager.register(instantiate(kind, Component.parse(plain_item, where=where), catalog, where=where), name=where)
    space = instantiate("space", Component.parse(data["space"], where="space"), catalog, where="space")
    architecture = Architecture.from_json(data["architecture"])
    space.validate(architecture)
    ledger = Ledger(Setting(space=space, task=_shapes(data)))
    number, seed = data["trial"]["number"], data["trial"]["seed"]
    proposal = Proposal(architecture, data["hyperparameters"])
    trial = Trial(number, proposal, seed=seed, edits=tuple(data.get("edits", ())))
    return TrialRun(trial, ledger.view, manager=manager).network


def _shapes(data: Mapping[str, Any]) -> Shapes:
    """What flows in and out; bundles of earlier versions name one shape and a number of outputs."""
    if "inputs" in data:
        return Shapes(Inputs.of(data["inputs"]), OutputSpec.of(data["output"]))
    return Shapes(Inputs.of(tuple(data["input_shape"])), OutputSpec.of(None, data["outputs"]))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / ARCHITECTURE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except FileNotFoundError:
        raise StorageError("there is no exported network", where=str(path), fix="check the path") from None
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise StorageError("not the description of an exported network", where=str(path), why=str(error)) from error
    return data


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    import math

    return {name: value if math.isfinite(value) else None for name, value in values.items()}
