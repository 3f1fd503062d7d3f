"""nasplug: neural architecture search from plugins, on the training stack you already have.

Public names are imported on first use, so that `import nasplug` loads neither torch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.cost.candidate import Candidate
    from nasplug.errors import NasplugError
    from nasplug.hookspecs import CONTRACT_VERSION, hookimpl
    from nasplug.lightning.plugins import Plugins
    from nasplug.plugins.catalog import Catalog
    from nasplug.plugins.component import Component, component
    from nasplug.records import (
        Architecture,
        Budget,
        Constraint,
        Evaluation,
        Measurement,
        Objective,
        Proposal,
        Trial,
    )
    from nasplug.run.api import load_study, run_spec, search
    from nasplug.run.spec import RunSpec, read_spec
    from nasplug.spaces.choices import ChoiceSpace
    from nasplug.spaces.graph import Graph
    from nasplug.spaces.protocols import (
        Choice,
        Crosses,
        Enumerates,
        Evaluator,
        HardwareTarget,
        HasGraph,
        HasVector,
        Mutates,
        SearchSpace,
        Strategy,
        Task,
    )
    from nasplug.study.study import Study
    from nasplug.tasks import ImageClassification, LightningTask

_HOMES = {
    "nasplug.cost.candidate": ("Candidate",),
    "nasplug.errors": ("NasplugError",),
    "nasplug.hookspecs": ("CONTRACT_VERSION", "hookimpl"),
    "nasplug.lightning.plugins": ("Plugins",),
    "nasplug.plugins.catalog": ("Catalog",),
    "nasplug.plugins.component": ("Component", "component"),
    "nasplug.records": (
        "Architecture",
        "Budget",
        "Constraint",
        "Evaluation",
        "Measurement",
        "Objective",
        "Proposal",
        "Trial",
    ),
    "nasplug.run.api": ("load_study", "run_spec", "search"),
    "nasplug.run.spec": ("RunSpec", "read_spec"),
    "nasplug.spaces.choices": ("ChoiceSpace",),
    "nasplug.spaces.graph": ("Graph",),
    "nasplug.spaces.protocols": (
        "Choice",
        "Crosses",
        "Enumerates",
        "Evaluator",
        "HardwareTarget",
        "HasGraph",
        "HasVector",
        "Mutates",
        "SearchSpace",
        "Strategy",
        "Task",
    ),
    "nasplug.study.study": ("Study",),
    "nasplug.tasks": ("ImageClassification", "LightningTask"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from nasplug.plugins.discovery import version

        return version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nasplug' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
