"""nasplug: neural architecture search from plugins, on the training stack you already have.

Public names are imported on first use, so that `import nasplug` loads neither torch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # `X as X` is how type checkers are told that a name is public.
    from nasplug.contract import errors as errors
    from nasplug.contract.choice import Choice as Choice
    from nasplug.contract.choice import nest as nest
    from nasplug.contract.errors import NasplugError as NasplugError
    from nasplug.contract.hookspecs import CONTRACT_VERSION as CONTRACT_VERSION
    from nasplug.contract.hookspecs import hookimpl as hookimpl
    from nasplug.contract.io import Inputs as Inputs
    from nasplug.contract.io import OutputSpec as OutputSpec
    from nasplug.contract.io import TensorSpec as TensorSpec
    from nasplug.contract.jsondata import Json as Json
    from nasplug.contract.jsondata import JsonObject as JsonObject
    from nasplug.contract.protocols import Crosses as Crosses
    from nasplug.contract.protocols import Enumerates as Enumerates
    from nasplug.contract.protocols import Evaluator as Evaluator
    from nasplug.contract.protocols import HardwareTarget as HardwareTarget
    from nasplug.contract.protocols import HasConditions as HasConditions
    from nasplug.contract.protocols import HasGraph as HasGraph
    from nasplug.contract.protocols import HasHyperparameters as HasHyperparameters
    from nasplug.contract.protocols import HasLabels as HasLabels
    from nasplug.contract.protocols import HasNeighbours as HasNeighbours
    from nasplug.contract.protocols import HasVector as HasVector
    from nasplug.contract.protocols import HasWorkload as HasWorkload
    from nasplug.contract.protocols import Mutates as Mutates
    from nasplug.contract.protocols import ReadsGraph as ReadsGraph
    from nasplug.contract.protocols import Relaxes as Relaxes
    from nasplug.contract.protocols import SearchSpace as SearchSpace
    from nasplug.contract.protocols import SharesWeights as SharesWeights
    from nasplug.contract.protocols import Strategy as Strategy
    from nasplug.contract.protocols import Tabulates as Tabulates
    from nasplug.contract.protocols import Task as Task
    from nasplug.contract.ranges import Categorical as Categorical
    from nasplug.contract.ranges import FloatRange as FloatRange
    from nasplug.contract.ranges import IntRange as IntRange
    from nasplug.contract.records import Architecture as Architecture
    from nasplug.contract.records import Budget as Budget
    from nasplug.contract.records import Constraint as Constraint
    from nasplug.contract.records import Evaluation as Evaluation
    from nasplug.contract.records import Failure as Failure
    from nasplug.contract.records import Inherit as Inherit
    from nasplug.contract.records import Measurement as Measurement
    from nasplug.contract.records import Objective as Objective
    from nasplug.contract.records import Proposal as Proposal
    from nasplug.contract.records import Trial as Trial
    from nasplug.contract.tracker import Tracker as Tracker
    from nasplug.cost.candidate import Candidate as Candidate
    from nasplug.evaluate.trialrun import TrialRun as TrialRun
    from nasplug.evaluate.workrun import WorkRun as WorkRun
    from nasplug.export.exporter import Exporter as Exporter
    from nasplug.ledger.ledger import Ledger as Ledger
    from nasplug.ledger.nested import NestedStudy as NestedStudy
    from nasplug.ledger.study import Study as Study
    from nasplug.ledger.view import StudyView as StudyView
    from nasplug.ledger.work import Outcome as Outcome
    from nasplug.ledger.work import Work as Work
    from nasplug.lightning.plugins import Plugins as Plugins
    from nasplug.plugins.catalog import Catalog as Catalog
    from nasplug.plugins.component import Component as Component
    from nasplug.plugins.component import component as component
    from nasplug.report.section import Section as Section
    from nasplug.run.api import load_study as load_study
    from nasplug.run.api import run_spec as run_spec
    from nasplug.run.api import search as search
    from nasplug.run.spec import RunSpec as RunSpec
    from nasplug.run.spec import read_spec as read_spec
    from nasplug.spaces.choices import ChoiceSpace as ChoiceSpace
    from nasplug.spaces.graph import Graph as Graph
    from nasplug.spaces.hyperparameters import HyperparameterSpace as HyperparameterSpace
    from nasplug.spaces.tabulated import TableSpace as TableSpace
    from nasplug.tasks import ImageClassification as ImageClassification
    from nasplug.tasks import LightningTask as LightningTask
    from nasplug.tasks import Training as Training

_HOMES = {
    "nasplug.contract.choice": ("Choice", "nest"),
    "nasplug.contract.ranges": ("Categorical", "FloatRange", "IntRange"),
    "nasplug.cost.candidate": ("Candidate",),
    "nasplug.contract.errors": ("NasplugError",),
    "nasplug.contract.hookspecs": ("CONTRACT_VERSION", "hookimpl"),
    "nasplug.export.exporter": ("Exporter",),
    "nasplug.lightning.plugins": ("Plugins",),
    "nasplug.plugins.catalog": ("Catalog",),
    "nasplug.plugins.component": ("Component", "component"),
    "nasplug.contract.records": (
        "Architecture",
        "Budget",
        "Constraint",
        "Evaluation",
        "Failure",
        "Inherit",
        "Measurement",
        "Objective",
        "Proposal",
        "Trial",
    ),
    "nasplug.run.api": ("load_study", "run_spec", "search"),
    "nasplug.run.spec": ("RunSpec", "read_spec"),
    "nasplug.spaces.choices": ("ChoiceSpace",),
    "nasplug.spaces.graph": ("Graph",),
    "nasplug.spaces.tabulated": ("TableSpace",),
    "nasplug.spaces.hyperparameters": ("HyperparameterSpace",),
    "nasplug.contract.protocols": (
        "Crosses",
        "Enumerates",
        "Evaluator",
        "HardwareTarget",
        "HasConditions",
        "HasGraph",
        "HasHyperparameters",
        "HasLabels",
        "HasNeighbours",
        "HasVector",
        "HasWorkload",
        "Mutates",
        "ReadsGraph",
        "Relaxes",
        "SharesWeights",
        "SearchSpace",
        "Strategy",
        "Tabulates",
        "Task",
    ),
    "nasplug.contract.jsondata": ("Json", "JsonObject"),
    "nasplug.contract.io": ("Inputs", "OutputSpec", "TensorSpec"),
    "nasplug.contract.tracker": ("Tracker",),
    "nasplug.evaluate.trialrun": ("TrialRun",),
    "nasplug.evaluate.workrun": ("WorkRun",),
    "nasplug.ledger.ledger": ("Ledger",),
    "nasplug.ledger.nested": ("NestedStudy",),
    "nasplug.ledger.study": ("Study",),
    "nasplug.ledger.view": ("StudyView",),
    "nasplug.ledger.work": ("Outcome", "Work"),
    "nasplug.report.section": ("Section",),
    "nasplug.tasks": ("ImageClassification", "LightningTask", "Training"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__", "errors"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from nasplug.plugins.discovery import version

        return version()
    if name == "errors":
        return importlib.import_module("nasplug.contract.errors")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nasplug' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
