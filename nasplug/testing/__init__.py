"""For authors of plugins: conformance suites to subclass, a synthetic problem, and a way to run a search on it.

The suites are plain pytest classes. Subclass one, name the subclass `Test...`, and give it one factory:

    from nasplug.testing import StrategyConformance

    class TestAnnealing(StrategyConformance):
        def make_strategy(self):
            return Annealing()

`run_search` and the synthetic problem need no pytest; the suites need the extra `testing`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nasplug.optional import require

if TYPE_CHECKING:
    from nasplug.testing.cost import CostConformance
    from nasplug.testing.evaluator import EvaluatorConformance
    from nasplug.testing.executor import ExecutorConformance
    from nasplug.testing.exporter import ExporterConformance
    from nasplug.testing.found import example_found
    from nasplug.testing.search import Interrupted, outcome, run_search
    from nasplug.testing.space import SpaceConformance
    from nasplug.testing.strategy import StrategyConformance
    from nasplug.testing.synthetic import Shapes, SyntheticCost, SyntheticEvaluator, SyntheticSpace, SyntheticTarget
    from nasplug.testing.target import TargetConformance
    from nasplug.testing.tracker import TrackerConformance
    from nasplug.testing.wrapper import WrapperConformance

__all__ = [
    "CostConformance",
    "EvaluatorConformance",
    "ExecutorConformance",
    "ExporterConformance",
    "Interrupted",
    "Shapes",
    "SpaceConformance",
    "StrategyConformance",
    "SyntheticCost",
    "SyntheticEvaluator",
    "SyntheticSpace",
    "SyntheticTarget",
    "TargetConformance",
    "TrackerConformance",
    "WrapperConformance",
    "example_found",
    "outcome",
    "run_search",
]
_TOOLS = {
    "example_found": "found",
    "Interrupted": "search",
    "Shapes": "synthetic",
    "SyntheticCost": "synthetic",
    "SyntheticEvaluator": "synthetic",
    "SyntheticSpace": "synthetic",
    "SyntheticTarget": "synthetic",
    "outcome": "search",
    "run_search": "search",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nasplug.testing' has no attribute {name!r}")
    if name in _TOOLS:
        home = f"nasplug.testing.{_TOOLS[name]}"
    else:
        home = f"nasplug.testing.{name.removesuffix('Conformance').lower()}"
        require("hypothesis", extra="testing", purpose=f"run {name}")
        # Failed assertions of the suites then show their values, as those of a test file do.
        require("pytest", extra="testing", purpose=f"run {name}").register_assert_rewrite(home)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
