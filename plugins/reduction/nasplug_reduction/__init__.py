"""Smaller networks out of trained ones: `shrink` is the short way, `ReductionSpace` the space behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_reduction.result import Reduced
    from nasplug_reduction.shrink import shrink
    from nasplug_reduction.space import ReductionSpace
    from nasplug_reduction.written import load

__all__ = ["Reduced", "ReductionSpace", "load", "shrink"]

__getattr__, __dir__ = attach(
    __name__,
    {
        "Reduced": "nasplug_reduction.result",
        "ReductionSpace": "nasplug_reduction.space",
        "load": "nasplug_reduction.written",
        "shrink": "nasplug_reduction.shrink",
    },
)
