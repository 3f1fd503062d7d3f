"""A network as two files: `weights.safetensors`, and `architecture.json`, which says what it is without any code."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nasplug.contract.errors import NasplugError, PluginImportError, StorageError, StudyError, TrustError
from nasplug.contract.io import Inputs, OutputSpec
from nasplug.contract.jsondata import parse_json
from nasplug.export.description import FORMAT, describe
from nasplug.export.exporter import Found
from nasplug.export.needs import Needs
from nasplug.export.probe import agree, probe
from nasplug.plugins.trust import trusted, untrusted

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.records import Scalar, Trial
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog


@dataclass(frozen=True)
class Names:
    """What the two files are called.

    Attributes:
        description: File that says what the network is, as JSON.
        weights: File of weights, as safetensors.
    """

    description: str
    weights: str


BUNDLE = Names("architecture.json", "weights.safetensors")
REPOSITORY = Names("config.json", "model.safetensors")


@dataclass(frozen=True)
class Shapes:
    """The part of a task that building a network needs.

    Attributes:
        inputs: Inputs of the network.
        output: Output of the network.
        voxel_spacing: Size of a voxel along each axis of a patch, for spaces that build networks for it; empty if the
            task does not know it.
        objectives: None.
    """

    inputs: Inputs
    output: OutputSpec
    voxel_spacing: tuple[float, ...] = ()
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

    Raises:
        StudyError: The study has no task.
    """
    folder = Path(folder)
    write_files(Found.of(study, trial, network), folder, BUNDLE)
    return folder


def write_files(found: Found, folder: Path, names: Names) -> dict[str, Path]:
    """Writes weights and description of a network.

    Args:
        found: The network.
        folder: Folder to write; made if it does not exist.
        names: Names of the files.

    Returns:
        Paths of the weights and of the description, which is called the architecture.
    """
    from nasplug.evaluate.weights import save_weights

    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / names.weights
    save_weights(found.network, weights)
    facts = {
        **describe(found),
        "probe": probe(found.network, found.inputs),
        "weights": {
            "file": names.weights,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "parameters": sum(parameter.numel() for parameter in found.network.parameters()),
        },
    }
    described = folder / names.description
    described.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return {"weights": weights, "architecture": described}


def read_bundle(
    folder: str | Path,
    *,
    catalog: Catalog | None = None,
    trust: bool = False,
    objects: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Builds an exported network again and loads its weights; needs the plugins of its space and its wrappers.

    Args:
        folder: Folder from `write_bundle`.
        catalog: Catalog to look the space up in; default: all installed plugins and, with `trust`, the files it names.
        trust: Whether class paths and plugin files that the bundle names may run.
        objects: Parts that were Python objects in the search, by key: `{"space": MySpace(width=32)}`.

    Returns:
        The network, in inference mode.

    Raises:
        StorageError: A file is missing or does not belong to the other.
        TrustError: It names code from outside the installed plugins.
        NasplugError: A plugin is not installed.
    """
    folder = Path(folder)
    data = read_description(folder)
    try:
        return _read(folder, data, catalog, trust, objects or {})
    except NasplugError as error:
        if folder.name not in str(error):
            error.within(str(folder))
        raise
    except Exception as error:  # a description that somebody changed can fail in any way
        raise _unreadable(folder, error) from error


def _read(
    folder: Path, data: dict[str, Any], catalog: Catalog | None, trust: bool, objects: Mapping[str, Any]
) -> nn.Module:
    import torch
    from safetensors.torch import load_model

    weights = _weights(folder, data)
    if hashlib.sha256(weights.read_bytes()).hexdigest() != data["weights"]["sha256"]:
        raise StorageError("the weights are not those that were exported", where=str(weights), fix="export it again")
    needs = msgspec.convert(data.get("needs", {}), Needs)
    guessed = sorted(set(needs.objects) - set(objects))
    try:
        with contextlib.nullcontext() if trust or not trusted() else untrusted():
            network = _build(data, catalog, objects)
        load_model(network, str(weights))
    except (TrustError, PluginImportError) as error:
        raise needs.explain(error) from error
    except (NasplugError, RuntimeError) as error:
        if guessed:
            raise _made_in_python(needs, guessed[0], str(error)) from error
        if isinstance(error, NasplugError):
            raise
        raise StorageError(
            "the weights do not fit the network",
            where=str(weights),
            why=str(error),
            fix=f"build it with the versions that wrote it: {data['versions']['exported']}",
        ) from error
    assert isinstance(network, torch.nn.Module)
    network.eval()
    expected = data.get("probe")
    if expected is not None and not agree(expected, probe(network, _shapes(data).inputs)):
        if guessed:
            raise _made_in_python(needs, guessed[0], "with its default arguments it computes something else")
        raise StorageError(
            "the network computes something else than the one that was exported",
            where=str(folder),
            why="its code is another one",
            fix=f"build it with the versions that wrote it: {data['versions']['exported']}",
        )
    return network


def _weights(folder: Path, data: Mapping[str, Any]) -> Path:
    """The file of the weights, which lies beside its description whatever that says."""
    name = data["weights"]["file"]
    if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
        raise StorageError(f"there are no weights {name!r:.100}", where=str(folder), fix="export the network again")
    return folder / name


def _made_in_python(needs: Needs, key: str, why: str) -> StudyError:
    name = needs.objects[key]
    return StudyError(
        f"the {key} of this network was made in Python, with arguments that a file cannot hold",
        where="bundle",
        why=why,
        fix=f"pass it: read_bundle(folder, objects={{{key!r}: {name.rpartition('.')[2]}(...)}}); its source is "
        f"{', '.join(map(str, needs.sources)) or name}",
    )


def _build(data: Mapping[str, Any], catalog: Catalog | None, objects: Mapping[str, Any]) -> nn.Module:
    from nasplug.contract.records import Architecture, Proposal, Trial
    from nasplug.evaluate.trialrun import TrialRun
    from nasplug.ledger.ledger import Ledger
    from nasplug.ledger.view import Setting
    from nasplug.plugins.component import Component, instantiate
    from nasplug.plugins.discovery import discover
    from nasplug.plugins.manager import Manager
    from nasplug.run.base import Base

    catalog = catalog or discover(data["plugins"]).catalog

    def made(kind: str, plain_item: Any, where: str) -> Any:
        if where in objects:
            return objects[where]
        return instantiate(kind, Component.parse(plain_item, where=where), catalog, where=where)

    manager = Manager([("space", Base())])
    for position, item in enumerate(data["build"]):
        manager.register(made("wrapper", item, f"build[{position}]"), name=f"build#{position}")
    for position, (kind, item) in enumerate(data.get("editors", ())):
        manager.register(made(kind, item, f"editors[{position}]"), name=f"editors[{position}]")
    space = made("space", data["space"], "space")
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
        spacing = tuple(map(float, data.get("voxel_spacing", ())))
        return Shapes(Inputs.of(data["inputs"]), OutputSpec.of(data["output"]), spacing)
    return Shapes(Inputs.of(tuple(data["input_shape"])), OutputSpec.of(None, data["outputs"]))


def read_description(folder: Path) -> dict[str, Any]:
    """Returns what an exported folder says of its network.

    Raises:
        StorageError: There is no description, or it is damaged.
    """
    path = next(
        (folder / names.description for names in (BUNDLE, REPOSITORY) if (folder / names.description).is_file()), None
    )
    if path is None:
        raise StorageError("there is no exported network", where=str(folder / BUNDLE.description), fix="check the path")
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return data


def _unreadable(path: Path, error: Exception) -> StorageError:
    return StorageError(
        "no network can be built from this description",
        where=str(path),
        why=f"{type(error).__name__}: {error}",
        fix="export the network again",
    )
