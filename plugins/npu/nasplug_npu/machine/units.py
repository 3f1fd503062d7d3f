"""Units that the machine can be built as, with the constants of its control measured on it."""

from __future__ import annotations

from typing import Any

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_npu.config import NPUConfig

#: Clocks that a layer, a tile and the pipeline take beside loads, steps and stores, counted on single tiles.
CONTROL = {"layer_cycles": 8, "tile_cycles": 4}
#: Shape, precision and skipping of each.
_UNITS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("8x4x1", {"precision": "none", "sparsity": "gate"}),
    "narrow": ("2x2x1", {"precision": "full2d", "sparsity": "gate"}),
    "sparse": ("1x1x16", {"precision": "none", "sparsity": "weight_skip", "window": 16, "weight_kb": 16}),
}
NAMES = tuple(_UNITS)


def unit(name: str, **changes: Any) -> NPUConfig:
    """A unit that the machine can be built as.

    Args:
        name: Name of the unit: `dense` (8 x 4 multipliers), `narrow` (2 x 2 of bricks), `sparse` (16 positions).
        **changes: Fields that differ.

    Raises:
        SpecError: No such unit, or a value that no unit can have.
    """
    if name not in _UNITS:
        raise SpecError(f"there is no unit {name!r} of the machine", where="npu machine", fix=did_you_mean(name, NAMES))
    shape, fields = _UNITS[name]
    rows, columns, positions = (int(size) for size in shape.split("x"))
    own: dict[str, Any] = {
        "name": f"machine_{name}",
        "source": "nasplug_npu.rtl.machine",
        "shapes": f"fixed:{shape}",
        "macs": rows * columns * positions,
        "ports": "separate",
        "input_port_bits": 8 * rows * positions,
        "weight_port_bits": 1024,
        "weight_kb": 32,
        "ppu_per_cycle": min(4, rows, columns),
        "align_channels": rows,
        "pipeline_depth": positions + 10,
        "ppu_operations": ("maxpool",),
        **CONTROL,
        **fields,
    }
    return NPUConfig(**{**own, **changes})
