"""Quantised networks as integers: folding, comparison, storage, ONNX."""

from __future__ import annotations

from nasplug.export.onnx import run_onnx
from nasplug_darts_lp.folding.check import Agreement, agreement
from nasplug_darts_lp.folding.export import Deviation, deviation, export_onnx, export_qdq
from nasplug_darts_lp.folding.fold import FoldedNetwork, fold
from nasplug_darts_lp.folding.kernels import qdq
from nasplug_darts_lp.folding.size import Size, packed, save, size

__all__ = [
    "Agreement",
    "Deviation",
    "FoldedNetwork",
    "Size",
    "agreement",
    "deviation",
    "export_onnx",
    "export_qdq",
    "fold",
    "packed",
    "qdq",
    "run_onnx",
    "save",
    "size",
]
