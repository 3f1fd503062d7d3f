"""Terms of a loss: a weight, a function or a module of the LightningModule, made zero."""

from __future__ import annotations

import functools
from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from nasplug.contract.errors import SpecError, did_you_mean


class Silent(nn.Module):
    """A module of a loss whose answer is multiplied by zero.

    Args:
        term: Module that makes the term.
    """

    def __init__(self, term: nn.Module) -> None:
        super().__init__()
        self.term = term

    def forward(self, *args: object, **kwargs: object) -> object:
        """Returns zeros in the shape of the term."""
        return _zeros(self.term(*args, **kwargs))


def silence(module: nn.Module, path: str) -> None:
    """Makes a term of the loss zero, in place.

    Args:
        module: LightningModule.
        path: Path of the attribute that makes the term: a number that weighs it, alone, in a mapping or in `hparams`;
            a method; or a module.

    Raises:
        SpecError: There is no such attribute, it is something else, or a weight is zero already.
    """
    *way, last = path.split(".")
    owner: Any = module
    for name in way:
        owner = _get(owner, name, path)
    found = _get(owner, last, path)
    if isinstance(found, nn.Module):
        _set(owner, last, Silent(found))
    elif isinstance(found, bool) or not (isinstance(found, (int, float, Tensor)) or callable(found)):
        raise SpecError(f"{path!r} is a {type(found).__name__}, which weighs and makes no term", where="loss", fix=_FIX)
    elif isinstance(found, (int, float)):
        if not found:
            raise SpecError(f"the weight {path!r} is 0 already", where="loss", fix="leave the component out")
        _set(owner, last, type(found)(0))
    elif isinstance(found, Tensor):
        _set(owner, last, _silent_tensor(found))
    else:
        _set(owner, last, _silent(found))


_FIX = "name a number, a method or a module of the LightningModule, such as `aux_weight`, `hparams.beta` or `aux_loss`"


def _silent_tensor(weight: Tensor) -> Tensor:
    zeros = torch.zeros_like(weight)
    return nn.Parameter(zeros, requires_grad=False) if isinstance(weight, nn.Parameter) else zeros


def _silent(term: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(term)
    def silent(*args: object, **kwargs: object) -> object:
        return _zeros(term(*args, **kwargs))

    return silent


def _zeros(value: object) -> object:
    return tree_map(
        lambda leaf: torch.zeros_like(leaf) if isinstance(leaf, Tensor) else 0.0 if isinstance(leaf, float) else leaf,
        value,
    )


def _get(owner: Any, name: str, path: str) -> Any:
    if isinstance(owner, MutableMapping) and name in owner:
        return owner[name]
    if not hasattr(owner, name):
        known = list(owner) if isinstance(owner, MutableMapping) else [key for key in vars(owner) if key[0] != "_"]
        known += [key for key, value in vars(type(owner)).items() if callable(value) and key[0] != "_"]
        raise SpecError(
            f"there is no {path!r} in the LightningModule",
            where="loss",
            why=f"{type(owner).__name__} has no {name!r}",
            fix=did_you_mean(name, known),
        )
    return getattr(owner, name)


def _set(owner: Any, name: str, value: object) -> None:
    if isinstance(owner, MutableMapping) and name in owner:
        owner[name] = value
    elif isinstance(owner, nn.Module) and name in owner._parameters:
        owner._parameters[name] = value if isinstance(value, nn.Parameter) else None
    else:
        setattr(owner, name, value)
