"""What a machine is built with, from a configuration of the model; what it cannot be built with is refused by name."""

from __future__ import annotations

from dataclasses import dataclass

from nasplug.contract.errors import SpecError
from nasplug_npu.config import NPUConfig

#: Bytes of a word of the memory of maps, and of weights.
MAP_BYTES, WEIGHT_BYTES = 8, 4
#: Most rows of the buffer of weights, which fields of 12 bits count.
ROWS = 4096
#: Deepest record of the post-process unit, in words of 32 bits for each lane.
RECORD = 15


@dataclass(frozen=True)
class Parameters:
    """Numbers that the hardware is built from.

    Attributes:
        rows, columns, positions: Shape of the array.
        lanes: Lanes of the post-process unit.
        narrow: Whether multipliers are made of bricks that narrow operands fill.
        skip: Whether steps with weights of zero are skipped.
        window: Steps that are looked at together.
        input_words, output_words: Words of 64 bits of the buffers of maps.
        weight_rows: Rows of the buffer of weights.
        record_rows: Rows of the buffer of records.
        mask_words: Words of 32 bits of the buffer of masks.
        map_burst, weight_burst: Words of a burst.
        map_latency, weight_latency: Clocks until the first word comes.
        shared_port: Whether loads and stores of maps share a port.
    """

    rows: int
    columns: int
    positions: int
    lanes: int
    narrow: bool
    skip: bool
    window: int
    input_words: int
    output_words: int
    weight_rows: int
    record_rows: int
    mask_words: int
    map_burst: int
    weight_burst: int
    map_latency: int
    weight_latency: int
    shared_port: bool

    @property
    def row_words(self) -> int:
        """Words of 32 bits in a row of the buffer of weights."""
        return self.rows * self.columns * (4 if self.narrow else 1) // 4 or 1

    @property
    def row_parts(self) -> int:
        """Columns of 8 bits per column of the array in a row of the buffer of weights."""
        return self.row_words * 4 // self.columns

    @property
    def entity(self) -> int:
        """Bits that one position holds of one block of channels."""
        return 8 * self.rows


def parameters(config: NPUConfig) -> Parameters:
    """The machine that a configuration describes.

    Args:
        config: Configuration of the unit.

    Raises:
        SpecError: The machine cannot be built so.
    """

    def refuse(field: str, why: str, fix: str) -> SpecError:
        value = getattr(config, field)
        return SpecError(f"the machine has no {field} of {value!r}", where=f"npu {config.name!r}", why=why, fix=fix)

    if config.dataflow != "tree":
        raise refuse("dataflow", "its array sums products in a tree", "dataflow=tree")
    if config.shape is None:
        raise refuse("shapes", "its array has one shape", "shapes=fixed:8x4x1")
    r, c, p = config.shape
    if r not in (1, 2, 4, 8) or c & (c - 1) or c > 16:
        raise refuse("shapes", "a word of 8 bytes holds whole entities", "1, 2, 4 or 8 rows and at most 16 columns")
    wanted = {
        "max_bits": 8,
        "act_bytes_per_cycle": MAP_BYTES,
        "weight_bytes_per_cycle": WEIGHT_BYTES,
        "brick_bits": 2,
        "ppu_per_cycle": min(4, c, r),
        "ppu_fused": True,
        "im2col": False,
        "dw_taps": False,
        "double": True,
        "forwarding": False,
        "input_port_bits": 8 * r * p,
    }
    for field, value in wanted.items():
        if getattr(config, field) != value:
            raise refuse(field, f"its shape is {r}x{c}x{p}", f"{field}={value}")
    if config.precision not in ("none", "full2d"):
        raise refuse("precision", "bricks are summed over inputs and kept apart over weights", "precision=full2d")
    if config.sparsity not in ("none", "gate", "weight_skip"):
        raise refuse("sparsity", "it finds zeros of weights only", "sparsity=weight_skip")
    skip = config.sparsity == "weight_skip"
    if skip and (r, c, config.encoding) != (1, 1, "bitmask"):
        raise refuse("sparsity", "all lanes follow one bitmask", "shapes=fixed:1x1xP,encoding=bitmask")
    narrow = config.precision == "full2d"
    row_words = max(r * c * (4 if narrow else 1) // 4, 1)
    if config.weight_port_bits < 32 * row_words:
        raise refuse("weight_port_bits", "weights come whole rows at a time", f"weight_port_bits={32 * row_words}")
    if config.weight_kb * 1024 > ROWS * WEIGHT_BYTES * row_words:
        most = ROWS * WEIGHT_BYTES * row_words // 1024
        raise refuse("weight_kb", "fields of 12 bits count the rows of weights", f"weight_kb={most}")
    if config.ports not in ("separate", "act_shared"):
        raise refuse("ports", "weights have a memory of their own", "ports=act_shared")
    return Parameters(
        rows=r,
        columns=c,
        positions=p,
        lanes=min(4, c, r),
        narrow=narrow,
        skip=skip,
        window=config.window,
        input_words=int(config.input_kb * 1024) // MAP_BYTES,
        output_words=int(config.output_kb * 1024) // MAP_BYTES,
        weight_rows=int(config.weight_kb * 1024) // (WEIGHT_BYTES * row_words),
        record_rows=256,
        mask_words=1024,
        map_burst=int(config.act_burst_bytes) // MAP_BYTES,
        weight_burst=int(config.weight_burst_bytes) // WEIGHT_BYTES,
        map_latency=int(config.act_latency),
        weight_latency=int(config.weight_latency),
        shared_port=config.ports == "act_shared",
    )
