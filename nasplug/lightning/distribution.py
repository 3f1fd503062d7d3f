"""The two distributions of Lightning: what belongs to one of them is brought to the other, or refused by name.

`pytorch_lightning` and `lightning.pytorch` are the same code twice, and neither takes the other's classes.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any

from nasplug.contract.errors import TaskError

#: Hooks of a LightningDataModule.
_HOOKS = (
    "prepare_data",
    "setup",
    "teardown",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "predict_dataloader",
    "transfer_batch_to_device",
    "on_before_batch_transfer",
    "on_after_batch_transfer",
    "state_dict",
    "load_state_dict",
    "on_exception",
)


def lightning_of(thing: object) -> ModuleType:
    """Returns the distribution of Lightning that something was written for; `pytorch_lightning` unless it says.

    Args:
        thing: Module, data module or callback, or the class of one.
    """
    return importlib.import_module(name_of(thing) or "pytorch_lightning")


def name_of(thing: object) -> str | None:
    """Returns the distribution by name, None for what is derived from no class of Lightning."""
    kind = thing if isinstance(thing, type) else type(thing)
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package == "lightning":
            return "lightning.pytorch"
        if package == "pytorch_lightning":
            return package
    return None


def overrides(thing: object, hook: str) -> bool:
    """Returns whether a module or data module, or its class, has a hook of its own.

    Args:
        thing: Module or data module, or the class of one.
        hook: Name of the method.
    """
    kind = thing if isinstance(thing, type) else type(thing)
    if thing is not kind and hook in getattr(thing, "__dict__", {}):
        return True
    owner = next((base for base in kind.__mro__ if hook in vars(base)), None)
    return owner is not None and owner.__module__.partition(".")[0] not in (
        "lightning",
        "pytorch_lightning",
        "builtins",
    )


def data_for(data: Any, module: Any, lightning: ModuleType) -> Any:
    """Returns a data module for the Trainer of a module.

    Args:
        data: Data module as the task gives it and wrappers change it.
        module: LightningModule that will be trained.
        lightning: Distribution of Lightning of the module.

    Raises:
        TaskError: The data module is a user's own, of the other distribution.
    """
    if hasattr(data, "bind"):
        data.bind(module)
    if isinstance(data, lightning.LightningDataModule):
        return data
    if _is_ours(data):
        return _adapter(lightning)(data)
    refuse_mix(module, data)
    return data


def refuse_mix(module: Any, data: Any) -> None:
    """Refuses a module and a data module of different distributions; those of nasplug go with both.

    Args:
        module: LightningModule, or its class.
        data: LightningDataModule.

    Raises:
        TaskError: They come from different distributions.
    """
    first, second = name_of(module), name_of(data)
    if first is None or second is None or first == second or _is_ours(data):
        return
    name, other = (thing.__name__ if isinstance(thing, type) else type(thing).__name__ for thing in (module, data))
    raise TaskError(
        f"{name} comes from `{first}` and {other} from `{second}`, and neither takes the other's classes",
        where="task",
        fix=f"import both from one of them: in the file of {other}, write `import {first} as pl`",
    )


def _is_ours(data: Any) -> bool:
    return any(base.__module__.startswith("nasplug") for base in type(data).__mro__)


class _Adapted:
    """Shows a data module to the Trainer of the other distribution. A mixin for its LightningDataModule."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner
        for name in _HOOKS:
            if overrides(inner, name):
                setattr(self, name, getattr(inner, name))


@cache
def _adapter(lightning: ModuleType) -> type:
    return type("AdaptedData", (_Adapted, lightning.LightningDataModule), {"__doc__": _Adapted.__doc__})
