"""Weights that somebody else trained: found in a hub's cache or a file, read without pickle, put into a network."""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug.tasks.finetuning import head_names

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger(__name__)
_WHERE = "pretrained"


@dataclass(frozen=True)
class Source:
    """A file of weights.

    Attributes:
        name: Name for people and records: `timm:resnet18.a1_in1k`, or the name of the file.
        path: The file.
    """

    name: str
    path: Path

    def sha256(self) -> str:
        """Returns the checksum of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find(weights: str, network: nn.Module) -> Source:
    """Finds the file of weights.

    Args:
        weights: `hub` for the timm model that the network is, `torchvision:NAME` or `torchvision:NAME:WEIGHTS`, or the
            path of a file.
        network: The network.

    Raises:
        SpecError: There is no such file, here or in the cache.
    """
    if weights == "hub":
        return _timm_file(network)
    if weights.startswith("torchvision:"):
        return _torchvision_file(weights)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise SpecError(
            f"there is no weights file {str(path)!r}",
            where=_WHERE,
            fix=f"put it there; relative paths start in the working folder {str(Path.cwd())!r}",
        )
    return Source(path.name, path)


def find_named(weights: str, name: str) -> Source | None:
    """Finds the file of weights that a trial has recorded, without its network.

    Args:
        weights: Argument as for `find`.
        name: Name that `find` gave the source.

    Returns:
        The file; None for models of timm that this version does not know.

    Raises:
        SpecError: There is no such file, here or in the cache.
    """
    if weights != "hub":
        return find(weights, nn.Identity())
    timm = require("timm", extra="timm", purpose="find the weights of timm models")
    config = timm.models.get_pretrained_cfg(name.removeprefix("timm:"))
    return None if config is None else _of_timm(config.to_dict())


def read(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, of torch weights or of a Lightning checkpoint; runs no code of it.

    Raises:
        SpecError: The file cannot be read so, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise anything
        raise SpecError(
            "cannot read the weights",
            where=str(path),
            why=_why_unread(error),
            fix="save its tensors alone: torch.save(network.state_dict(), FILE), or as safetensors; "
            "files that need pickle are never opened",
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)} if isinstance(loaded, Mapping) else {}
    if not tensors:
        raise SpecError("the file holds no tensors by name", where=str(path), fix="save a state_dict")
    return tensors


def stripped(tensors: Mapping[str, Tensor], names: Iterable[str], prefix: str | None) -> dict[str, Tensor]:
    """Returns tensors under the names that the network uses.

    A prefix is taken off, and what does not have it is left out: the stated one, or the one under which most names of
    the network are found, such as `model.` in a checkpoint of Lightning.

    Args:
        tensors: Tensor by name in the file.
        names: Names in the network.
        prefix: Prefix to take off, such as `model.`; None finds it.

    Raises:
        SpecError: No name has the stated prefix, or several fit equally well.
    """
    if prefix is not None:
        kept = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        if not kept:
            raise SpecError(
                f"no tensor of the file has the prefix {prefix!r}", where=_WHERE, why=f"the first is {min(tensors)!r}"
            )
        return kept
    wanted, counts = set(names), Counter[str]()
    for name in tensors:
        parts = name.split(".")
        counts.update(".".join(parts[:i]) for i in range(len(parts)) if ".".join(parts[i:]) in wanted)
    best = [start for start, count in counts.items() if count == max(counts.values())]
    if not best or "" in best:
        return dict(tensors)
    if len(best) > 1:
        raise SpecError(
            f"the file holds the network {plural(len(best), 'time')}, under {' and '.join(map(repr, sorted(best)))}",
            where=_WHERE,
            fix=f"say which with `prefix: {min(best)}.`",
        )
    start = best[0] + "."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def load(network: nn.Module, source: Source, *, prefix: str | None = None, partial: bool = False) -> None:
    """Puts the weights of a file into a network; the head stays as it is if the file's has another number of classes.

    A timm network whose names or shapes differ is filled by timm itself, which knows older names, other numbers of
    channels and other image sizes.

    Args:
        network: The network, changed in place; may be wrapped.
        source: File of weights.
        prefix: Prefix of the names in the file; None finds it.
        partial: Whether to accept that tensors beside the head's are missing, unexpected or of another shape.

    Raises:
        TrialError: The weights do not fit.
        SpecError: The file cannot be read.
    """
    bare = next((part for part in network.modules() if hasattr(part, "pretrained_cfg")), network)
    custom = source.path.suffix == ".npz"
    own = bare.state_dict()
    tensors = {} if custom else stripped(read(source.path), own, prefix)
    head = head_names(bare)
    differing = _differing(own, tensors)
    beside = [name for name in differing if name not in head]
    if not custom and beside and hasattr(bare, "pretrained_cfg"):
        converted = _converted_by_timm(bare, tensors, head, source)
        if converted is not None:
            tensors = converted
            differing = _differing(own, tensors)
            beside = [name for name in differing if name not in head]
    if custom or (beside and not (partial and _anything(own, tensors, head))):
        raise _misfit(source, own, tensors, beside)
    for part, names in (("the head", [n for n in differing if n in head]), ("the rest", beside)):
        if names:
            _log.warning("%s: %s keeps %s: %s", source.name, part, plural(len(names), "fresh tensor"), _some(names))
    bare.load_state_dict({name: value for name, value in tensors.items() if name not in differing}, strict=False)


def _differing(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Names that only one of both has, or that have different shapes; counters of batches may be missing."""
    return [
        name
        for name in {**own, **given}
        if not (name in own and name in given and own[name].shape == given[name].shape)
        and not (name.endswith("num_batches_tracked") and name not in given)
    ]


def _anything(own: Mapping[str, Tensor], given: Mapping[str, Tensor], head: frozenset[str]) -> bool:
    """Whether any tensor beside the head's fits."""
    return any(name in given and given[name].shape == own[name].shape for name in own if name not in head)


def _misfit(source: Source, own: Mapping[str, Tensor], given: Mapping[str, Tensor], beside: list[str]) -> TrialError:
    missing = [name for name in beside if name not in given]
    unexpected = [name for name in beside if name not in own]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
        for name in beside
        if name in own and name in given
    ]
    said = [
        f"{len(names)} {word} ({_some(names)})"
        for names, word in ((missing, "missing"), (unexpected, "unexpected"), (shapes, "of another shape"))
        if names
    ]
    return TrialError(
        "build",
        f"the weights {source.name!r} do not fit the network",
        where=_WHERE,
        why="beside the head: " + "; ".join(said) if said else "only timm reads this format, and only into its models",
        fix="say the prefix of its names with `prefix`, or take what fits with `partial: true`",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _converted_by_timm(
    bare: nn.Module, tensors: dict[str, Tensor], head: frozenset[str], source: Source
) -> dict[str, Tensor] | None:
    """Lets timm fill a second model of the same kind, with the file's number of classes; None if timm cannot."""
    timm = require("timm", extra="timm", purpose="convert the weights of timm models")
    config: Any = bare.pretrained_cfg
    own = bare.state_dict()
    heads = [len(tensors[name]) for name in sorted(head) if name in tensors]
    classes = heads[0] if heads else config["num_classes"]
    built: tuple[str, dict[str, Any]] = getattr(bare, "built_by_timm", (config["architecture"], {}))
    name, arguments = built
    first = config.get("first_conv")
    first = first[0] if isinstance(first, (list, tuple)) else first
    stem = own.get(f"{first}.weight")
    channels = arguments.get("in_chans", 3 if stem is None else stem.shape[1])
    overlay = {"state_dict": dict(tensors), "num_classes": classes, "custom_load": False, "label_offset": 0}
    try:
        with torch.random.fork_rng(devices=[]):
            donor: nn.Module = timm.create_model(
                name,
                pretrained=True,
                pretrained_cfg_overlay=overlay,
                **{**arguments, "num_classes": classes, "in_chans": channels},
            )
    except Exception as error:  # filters of old formats raise anything
        _log.info("timm does not convert %s: %s", source.name, error)
        return None
    return dict(donor.state_dict())


def _timm_file(network: nn.Module) -> Source:
    """The file that timm would load for this network, downloaded by the hub's own client unless it is cached."""
    config: Any = next((part.pretrained_cfg for part in network.modules() if hasattr(part, "pretrained_cfg")), None)
    if config is None:
        raise SpecError(
            f"`hub` says nothing for a {type(network).__name__}, which is not a timm model",
            where=_WHERE,
            fix="name the file of the weights, or torchvision:NAME",
        )
    return _of_timm(config)


def _of_timm(config: Any) -> Source:
    tag = ".".join(filter(None, (config.get("architecture"), config.get("tag"))))
    name, url, repository = f"timm:{tag}", config.get("url"), config.get("hf_hub_id")
    if not url and not repository:
        raise SpecError(f"timm has no weights of {tag!r}", where=_WHERE, fix="take another tag, or name a file")
    if config.get("file"):
        return Source(name, Path(config["file"]))
    from timm.models import _hub

    errors = []
    if repository:
        from huggingface_hub import constants, hf_hub_download

        repository, revision = _hub.hf_split(repository)
        wanted = config.get("hf_hub_filename") or "model.safetensors"
        for file in dict.fromkeys((wanted, "pytorch_model.bin")):
            try:
                return Source(name, Path(hf_hub_download(repository, file, revision=revision)))
            except Exception as error:  # whatever a client raises without a network
                errors.append(error)
        place = f"`hf download {repository} {wanted}` where there is a network, and put the folder "
        place += f"models--{repository.replace('/', '--')} into {constants.HF_HUB_CACHE}"
    else:
        place = f"put {url.rpartition('/')[2]} into {_hub.get_cache_dir()}"
        try:
            return Source(name, Path(_hub.download_cached_file(url)))
        except Exception as error:
            errors.append(error)
    raise _absent(name, place, errors[0])


def _torchvision_file(weights: str) -> Source:
    models = require("torchvision.models", extra="timm", purpose="find torchvision's weights")
    _, model, *tag = weights.split(":")
    try:
        known = models.get_model_weights(model)
        found = known[tag[0]] if tag else known.DEFAULT
    except (ValueError, KeyError, AttributeError) as error:
        raise SpecError(
            f"torchvision has no weights {weights!r}",
            where=_WHERE,
            fix="write torchvision:resnet18, or torchvision:resnet18:IMAGENET1K_V1",
        ) from error
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / found.url.rpartition("/")[2]
    if not path.is_file():
        try:
            found.get_state_dict(progress=False, check_hash=True)
        except Exception as error:
            raise _absent(weights, f"put {path.name} into {folder}", error) from error
    return Source(f"torchvision:{model}:{found.name}", path)


def _absent(name: str, place: str, error: Exception) -> SpecError:
    return SpecError(
        f"the weights {name!r} are not in the cache and cannot be fetched",
        where=_WHERE,
        why=" ".join(str(error).split())[:160],
        fix=f"{place}, or name a file with `weights: FILE`",
    )


def _why_unread(error: Exception) -> str:
    """Reason why a file of weights was not read; torch's own says how to run the code in it, which nobody should."""
    text = " ".join(str(error).split())
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"Unsupported (?:global|class|operand)[^.]*", text)
        return found[0] if found else "not a file of torch weights, or one with objects other than tensors"
    if isinstance(error, (KeyError, IndexError, EOFError, ValueError)):  # what torch says of bytes that mean nothing
        return "not a file of torch weights, or a damaged one"
    return text[:200]
