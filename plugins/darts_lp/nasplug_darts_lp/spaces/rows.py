"""What the workloads of both spaces have in common."""

from __future__ import annotations

from typing import Any

from nasplug.workloads.builder import WorkloadBuilder


def bits(weight_bits: int | None, activation_bits: int | None) -> dict[str, Any]:
    """Returns the columns of a convolution with bits of its own; none in floating point."""
    if weight_bits is None or activation_bits is None:
        return {}
    return {"weight_bits": weight_bits, "input_bits": activation_bits}


def classify(builder: WorkloadBuilder, x: int, outputs: int, fixed: int | None) -> None:
    """Adds the mean over the image and the classifier.

    Args:
        builder: Builder of the workload.
        x: Row that gives the feature map.
        outputs: Number of classes.
        fixed: Bits of the classifier; None for floating point.
    """
    pooled = builder.global_pool(x)
    builder.row("fc", [pooled], "classifier", co=outputs, bias=True, **bits(fixed, fixed))
