"""Weights of a network: copied while it trains, written as safetensors, loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from nasplug.contract.errors import NasplugError, StudyError
from nasplug.contract.records import Trial
from nasplug.contract.wording import plural
from nasplug.evaluate.tensors import RESUME
from nasplug.files import complete_file
from nasplug.ledger.artifacts import check_artifact

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView

#: Name of the file inside the folder of a trial.
FILE_NAME = "weights.safetensors"

Snapshot = dict[str, object]
#: Shape of every entry by name, None where it is not a tensor.
Structure = tuple[tuple[str, torch.Size | None], ...]


def snapshot(network: nn.Module) -> Snapshot:
    """Copies the state of a network to the CPU."""
    # Validation runs in inference mode, whose tensors could not be used in a later training.
    with torch.inference_mode(False), torch.no_grad():
        return {
            name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
            for name, value in network.state_dict().items()
        }


def structure(state: Mapping[str, object]) -> Structure:
    """What two states must agree on for one to fit into the other's network."""
    return tuple([(name, value.shape if isinstance(value, Tensor) else None) for name, value in state.items()])


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes the state of a network, completely or not at all. Shared tensors are written once.

    Raises:
        StorageError: The file cannot be written.
        NasplugError: The state holds something other than tensors, which safetensors cannot keep.
    """
    odd = [name for name, value in network.state_dict().items() if not isinstance(value, Tensor)]
    if odd:
        raise NasplugError(
            f"the network's state {odd[0]!r} is not a tensor and cannot be kept as safetensors",
            where=type(network).__name__,
            fix="keep tensors in buffers, or use the evaluator's option `keep: none`",
        )
    with complete_file(path, "weights", fix=RESUME) as temporary:
        try:
            save_model(network, str(temporary))
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a weights file by name, shared ones under each of their names.

    Raises:
        StudyError: The file cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            found: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            # What `save_weights` leaves out because it is stored under another name.
            shared = {name: kept for name, kept in (file.metadata() or {}).items() if kept in found}
    except (SafetensorError, OSError) as error:
        raise StudyError(f"cannot read the weights file {str(path)!r}", why=str(error)) from error
    return {**found, **{name: found[kept] for name, kept in shared.items()}}


def load_weights(study: StudyView, trial: Trial, network: nn.Module) -> nn.Module:
    """Fills a freshly built network with the weights that a trial kept, and sets it to inference mode.

    Args:
        study: Study that holds the weights in its folder.
        trial: The trial that was trained.
        network: Network from `study.build(trial)`.

    Raises:
        StudyError: No weights were kept, the file is missing or damaged, or it belongs to another network.
    """
    where = f"trial {trial.number}"
    name = trial.artifacts.get("weights")
    if name is None:
        because = {"failed": "it failed", "pruned": f"it was stopped early ({trial.reason})"}.get(trial.state)
        raise StudyError(
            "no weights were kept",
            where=where,
            why="run.keep deleted them: other trials were better"
            if "weights" in trial.dropped
            else because or "the evaluator was told `keep: none`, or does not train",
            fix="`nasplug retrain` trains the architecture again",
        )
    path = study.artifacts() / name
    check_artifact(trial, "weights", path)
    try:
        missing, unexpected = load_model(network, path, strict=False)
    except (SafetensorError, OSError) as error:
        raise StudyError(f"cannot read the weights file {str(path)!r}", where=where, why=str(error)) from error
    except RuntimeError as error:  # a tensor of another shape
        raise _misfit(where, " ".join(str(error).split())[:300]) from error
    if missing or unexpected:
        raise _misfit(
            where,
            f"{plural(len(missing), 'tensor')} missing and {len(unexpected)} unexpected, "
            f"first {sorted([*missing, *unexpected])[0]!r}",
        )
    return network.eval()


def _misfit(where: str, why: str) -> StudyError:
    return StudyError(
        "the kept weights belong to another network than the one built now",
        where=where,
        why=why,
        fix="open the study with the versions and the specification that it was made with",
    )
