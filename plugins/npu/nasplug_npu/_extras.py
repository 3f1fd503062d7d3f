"""Optional libraries, imported when they are first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from nasplug.contract.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports an optional module, or says which extra of nasplug-npu brings it.

    Args:
        module: Dotted name.
        extra: The extra that installs it.
        purpose: What it is needed for, as a verb phrase.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{module.split('.')[0]} is needed to {purpose}, and is not installed",
            fix=f'pip install "nasplug-npu[{extra}]"',
        ) from error
