"""Data as people have them: a data module, loaders in a tuple or by name, or the module's own loaders."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Protocol

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.lightning.distribution import lightning_of, overrides, refuse_mix

#: Parts of the data in the order of a tuple, with the names that they may have in a mapping.
_PARTS = {
    "train": ("train", "training", "fit"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_FIX = (
    "give a LightningDataModule, a tuple (train loader, validation loader), a mapping {'train': ..., 'val': ...}, one "
    "loader for training, or None if the module has its own train_dataloader"
)


class Source(Protocol):
    """Where the data of trials come from."""

    def datamodule(self, lightning: ModuleType) -> Any:
        """Returns a data module of its own for one Trainer.

        Args:
            lightning: Distribution of Lightning of the module.
        """


@dataclass(frozen=True, slots=True)
class Given:
    """A data module that the user has.

    Attributes:
        data: LightningDataModule.
    """

    data: Any

    def datamodule(self, lightning: ModuleType) -> Any:
        """Returns a shallow copy: data that are loaded already are shared, random generators are not."""
        made = copy.copy(self.data)
        made.trainer = None
        for name, value in vars(self.data).items():
            fresh = _fresh(value)
            if fresh is not value:
                setattr(made, name, fresh)
        return made

    def __reduce__(self) -> tuple[object, ...]:
        """A Trainer of this process stays here."""
        return Given, (self.datamodule(lightning_of(self.data)),)


@dataclass(frozen=True, slots=True)
class Loaders:
    """Loaders that the user has; a part that is missing is taken from the module, if that has it.

    Attributes:
        parts: Loader, or several, by `train`, `val` and `test`.
    """

    parts: Mapping[str, Any]

    def datamodule(self, lightning: ModuleType) -> Any:
        """Returns a data module with copies of the loaders, whose random generators begin anew."""
        return _bound(lightning)({name: _fresh_all(loader) for name, loader in self.parts.items()})


class _FromLoaders:
    """Data of loaders. A mixin for the LightningDataModule of the Lightning at hand."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__()
        self._module: Any = None
        self._has = frozenset(parts)
        for name, loader in parts.items():
            setattr(self, f"{name}_dataloader", lambda loader=loader: loader)
        if "train" not in parts:
            self.train_dataloader = self._modules_own

    def bind(self, module: Any) -> None:
        """Takes the missing parts from the module that will be trained.

        Args:
            module: LightningModule.

        Raises:
            TaskError: Neither the task nor the module has training data.
        """
        self._module = module
        if "train" not in self._has and not overrides(module, "train_dataloader"):
            raise no_data(type(module).__name__)
        for name in ("val", "test", "predict"):
            hook = f"{name}_dataloader"
            if name not in self._has and overrides(module, hook):
                setattr(self, hook, getattr(module, hook))

    def _modules_own(self) -> Any:
        if self._module is None:
            raise TaskError("the data are those of the module, and there is none yet", where="task.data")
        return self._module.train_dataloader()


@cache
def _bound(lightning: ModuleType) -> type:
    return type("LoaderData", (_FromLoaders, lightning.LightningDataModule), {"__doc__": _FromLoaders.__doc__})


def no_data(name: str) -> TaskError:
    """Returns the error for a task without training data.

    Args:
        name: Name of the LightningModule.
    """
    return TaskError(f"there are no data, and {name} has no train_dataloader of its own", where="data", fix=_FIX)


def read_data(data: Any, factory: Any) -> Source:
    """Reads data as people give them.

    Args:
        data: LightningDataModule, one loader, a tuple or a list of loaders (training, validation, test; None for one
            that is the module's own or does not exist), a mapping of these names to loaders, a `{class_path,
            init_args}` of any of them, or None for the module's own loaders.
        factory: LightningModule class, or a function that makes one.

    Raises:
        TaskError: It is none of these, or of the other distribution of Lightning than the module.
    """
    if isinstance(data, Mapping) and "class_path" in data:
        data = _from_path(data)
    if isinstance(data, type):
        raise TaskError(f"{data.__name__} is a class", where="data", fix=f"make an instance: {data.__name__}(...)")
    untold = data is None or (isinstance(data, (tuple, list)) and bool(data) and data[0] is None)
    if untold and isinstance(factory, type) and not overrides(factory, "train_dataloader"):
        raise no_data(factory.__name__)
    if data is None:
        return Loaders({})
    if hasattr(data, "train_dataloader") and hasattr(data, "setup"):
        if isinstance(factory, type):
            refuse_mix(factory, data)
        return Given(data)
    if isinstance(data, Mapping):
        return Loaders(_by_name(data))
    if isinstance(data, (tuple, list)):
        if not 1 <= len(data) <= len(_PARTS):
            raise TaskError(f"a tuple of {plural(len(data), 'element')}", where="data", fix=_FIX)
        parts = zip(_PARTS, data, strict=False)
        return Loaders({name: _loaders(loader, name) for name, loader in parts if loader is not None})
    return Loaders({"train": _loaders(data, None)})


def _by_name(data: Mapping[Any, Any]) -> dict[str, Any]:
    known = {alias: name for name, aliases in _PARTS.items() for alias in aliases}
    found: dict[str, Any] = {}
    for key, loader in data.items():
        name = known.get(str(key))
        if name is None:
            raise TaskError(f"there is no part {key!r} of the data", where="data", fix=did_you_mean(str(key), _PARTS))
        if loader is not None:
            found[name] = _loaders(loader, str(key))
    if "train" not in found:
        raise TaskError("there is no part 'train' of the data", where="data", fix=_FIX)
    return found


def _loaders(value: object, part: str | None) -> Any:
    """Returns a loader, or several as Lightning takes them."""
    where = "data" if part is None else f"data, {part}"
    if isinstance(value, Mapping) and value and part is not None:
        return {name: _loaders(item, f"{part}[{name!r}]") for name, item in value.items()}
    if isinstance(value, (list, tuple)) and value and part is not None:
        return [_loaders(item, f"{part}[{i}]") for i, item in enumerate(value)]
    kind = type(value)
    names = {base.__name__ for base in kind.__mro__}
    if "Dataset" in names:
        raise TaskError(
            f"a {kind.__name__} is not a loader: it has no batches",
            where=where,
            fix="wrap it: torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)",
        )
    if names & {"Tensor", "ndarray", "DataFrame", "Series"}:
        raise TaskError(
            f"a {kind.__name__} is not a loader: it has no batches",
            where=where,
            fix="wrap tensors: DataLoader(TensorDataset(inputs, targets), batch_size=64, shuffle=True), of "
            "torch.utils.data",
        )
    if isinstance(value, (str, bytes, Mapping, list, tuple)) or not isinstance(value, Iterable):
        called = f"call it: {value.__name__}(). Otherwise " if hasattr(value, "__name__") else ""
        raise TaskError(f"cannot train on {value!r:.80}, a {kind.__name__}", where=where, fix=f"{called}{_FIX}")
    if isinstance(value, Iterator) and not _combines(value):
        raise TaskError(
            f"a {kind.__name__} can be read only once, and every trial reads the data",
            where=where,
            fix="give an object that begins anew, such as a torch DataLoader",
        )
    return value


def _from_path(data: Mapping[str, Any]) -> Any:
    from nasplug.plugins.catalog import load_location
    from nasplug.plugins.component import Component

    item = Component.parse(data, where="data")
    return load_location(item.name, where="data")(**item.args)


# -- random generators --------------------------------------------------------------------------------------------


def _fresh(value: Any) -> Any:
    """Returns a generator or a loader of its own in the state that the user's has; anything else as it is.

    Otherwise every trial would go on where the one before it ended.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Generator):
        made = torch.Generator(device=value.device)
        made.set_state(value.get_state())
        return made
    if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
        return copy.deepcopy(value)
    if isinstance(value, torch.utils.data.DataLoader):
        return _fresh_loader(value)
    if _combines(value):
        made = copy.copy(value)
        made.flattened = [_fresh(item) for item in value.flattened]
        return made
    return value


def _combines(value: object) -> bool:
    """Whether it is a CombinedLoader of Lightning, which says that it is an iterator and begins anew nevertheless."""
    return any(base.__name__ == "CombinedLoader" for base in type(value).__mro__)


def _fresh_all(loaders: Any) -> Any:
    if type(loaders) is list:
        return [_fresh_all(item) for item in loaders]
    if type(loaders) is dict:
        return {name: _fresh_all(item) for name, item in loaders.items()}
    return _fresh(loaders)


def _fresh_loader(loader: Any) -> Any:
    generators = {id(part.generator): part.generator for part in (loader, loader.sampler) if _has_generator(part)}
    if not generators:
        return loader
    fresh = {key: _fresh(generator) for key, generator in generators.items()}
    made = copy.copy(loader)
    # torch guards these attributes after __init__; see nasplug.data.fraction.
    if _has_generator(made):
        object.__setattr__(made, "generator", fresh[id(loader.generator)])
    if _has_generator(loader.sampler):
        sampler = copy.copy(loader.sampler)
        sampler.generator = fresh[id(loader.sampler.generator)]
        object.__setattr__(made, "sampler", sampler)
        if getattr(loader.batch_sampler, "sampler", None) is loader.sampler:
            batches = copy.copy(loader.batch_sampler)
            batches.sampler = sampler
            object.__setattr__(made, "batch_sampler", batches)
    made._iterator = None
    return made


def _has_generator(part: object) -> bool:
    return getattr(part, "generator", None) is not None
