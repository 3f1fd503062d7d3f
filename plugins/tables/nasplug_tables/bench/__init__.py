"""Comparisons of strategies on tables: equal budgets, several seeds, random search always in the picture."""

from nasplug_tables.bench.comparison import Comparison, Outcome
from nasplug_tables.bench.curves import CONVENTIONS, random_search
from nasplug_tables.bench.rules import Rules
from nasplug_tables.bench.runner import BASELINES, compare

__all__ = ["BASELINES", "CONVENTIONS", "Comparison", "Outcome", "Rules", "compare", "random_search"]
