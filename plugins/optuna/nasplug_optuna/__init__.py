"""Every Optuna sampler as a nasplug strategy, and nasplug studies for Optuna's dashboard.

Optuna is imported with the first use of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_optuna.export import to_optuna as to_optuna
    from nasplug_optuna.strategy import OptunaStrategy as OptunaStrategy

__all__ = ["OptunaStrategy", "to_optuna"]

__getattr__, __dir__ = attach(
    __name__, {"OptunaStrategy": "nasplug_optuna.strategy", "to_optuna": "nasplug_optuna.export"}
)
