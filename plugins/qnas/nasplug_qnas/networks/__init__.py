"""Networks of Q-NAS and the optimisers and schedules they are trained with, in plain torch."""

from __future__ import annotations

from nasplug_qnas.networks.chain import ChainNetwork
from nasplug_qnas.networks.optimisers import build_optimiser
from nasplug_qnas.networks.schedules import Plan, configure
from nasplug_qnas.networks.swats import SWATS

__all__ = ["SWATS", "ChainNetwork", "Plan", "build_optimiser", "configure"]
