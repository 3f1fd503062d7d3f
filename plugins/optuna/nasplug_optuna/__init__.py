"""Every Optuna sampler as a nasplug strategy, and nasplug studies for Optuna's dashboard.

Optuna is imported with the first use of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug_optuna.export import to_optuna as to_optuna
    from nasplug_optuna.strategy import OptunaStrategy as OptunaStrategy

__all__ = ["OptunaStrategy", "to_optuna"]


def __getattr__(name: str) -> Any:
    if name == "to_optuna":
        from nasplug_optuna.export import to_optuna

        return to_optuna
    if name == "OptunaStrategy":
        from nasplug_optuna.strategy import OptunaStrategy

        return OptunaStrategy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
