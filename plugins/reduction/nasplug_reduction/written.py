"""A reduced network in a folder: how it is made out of the user's model, and its weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_model
from torch import nn

from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import JsonObject
from nasplug.evaluate.usermodel import RANDOM, UserModel
from nasplug.evaluate.weights import save_weights
from nasplug_reduction.records import made

#: Names of the two files.
DESCRIPTION, WEIGHTS = "reduction.json", "weights.safetensors"
VERSION = 1


def write(network: nn.Module, model: UserModel, records: list[JsonObject], folder: str | Path) -> Path:
    """Writes a reduced network.

    Args:
        network: Network with its weights.
        model: Model that it was made of.
        records: Edits that make it out of the model.
        folder: Folder; made if it does not exist.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(network, folder / WEIGHTS)
    described = {
        "reduction": VERSION,
        "model": model.location,
        "arguments": dict(model.arguments),
        "attribute": model.attribute,
        "edits": records,
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return folder


def load(folder: str | Path, model: str | nn.Module | Callable[..., object] | None = None) -> nn.Module:
    """Makes a reduced network again, with its weights; the original weights are not needed.

    Args:
        folder: Folder that `shrink` wrote. What it names is imported, as in a specification: read it first.
        model: Class or function that makes the original model; None takes the location in the folder.

    Returns:
        The network, in inference mode.

    Raises:
        StorageError: A file is missing or damaged, or nobody says what makes the model.
    """
    folder = Path(folder)
    try:
        data = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        location, arguments, attribute, edits = (data[key] for key in ("model", "arguments", "attribute", "edits"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "not a reduced network", where=str(folder / DESCRIPTION), why=f"{type(error).__name__}: {error}"
        ) from error
    wanted = location if model is None else model
    if wanted is None:
        raise StorageError(
            "the folder does not say what makes the model",
            where=str(folder),
            why="a module was handed over when it was reduced",
            fix="load(folder, model=...): the class, or a function that makes it",
        )
    network = made(UserModel(wanted, RANDOM, arguments, attribute).copy(), edits)
    try:
        load_model(network, str(folder / WEIGHTS))
    except (OSError, RuntimeError) as error:
        raise StorageError(
            "the weights do not belong to this network", where=str(folder / WEIGHTS), why=" ".join(str(error).split())
        ) from error
    return network.eval()
