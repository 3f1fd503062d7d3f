"""The evolution of Q-NAS in plain NumPy: no torch, no networks, no training."""

from __future__ import annotations

from nasplug_qnas.algorithm.population import Population
from nasplug_qnas.algorithm.pulses import UniformPulses
from nasplug_qnas.algorithm.qnas import QNASAlgorithm
from nasplug_qnas.algorithm.quantum import QuantumNodes
from nasplug_qnas.algorithm.records import Candidate, GenerationRecord, Individual
from nasplug_qnas.algorithm.settings import SETTINGS, QNASSettings
from nasplug_qnas.algorithm.stopping import stagnated

__all__ = [
    "SETTINGS",
    "Candidate",
    "GenerationRecord",
    "Individual",
    "Population",
    "QNASAlgorithm",
    "QNASSettings",
    "QuantumNodes",
    "UniformPulses",
    "stagnated",
]
