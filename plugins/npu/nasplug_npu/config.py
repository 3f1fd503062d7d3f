"""What a unit is made of: every number that the models read, as one flat record.

The record is flat so that each field can be swept, stored, and overridden in the name of a target.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.workloads.workload import COMPUTE, OPERATIONS

DATAFLOWS = ("tree", "systolic_ws", "systolic_os", "systolic_is", "ethos_u55", "ethos_u85")
PRECISIONS = ("none", "weight_only", "symmetric", "full2d")
SPARSITIES = ("none", "gate", "weight_skip", "act_skip", "dual_skip")
PORTS = ("separate", "act_shared", "shared")
INNER = ("sum", "positions", "channels")
OBJECTIVES = ("latency", "traffic", "energy", "edp")
#: Layers that no dot product needs, and that the post-process unit can do.
POST_OPERATIONS = ("maxpool", "avgpool", "add", "mul", "scale", "lut", "concat", "resize", "norm", "softmax")

_ENCODING = re.compile(r"dense|bitmask|csc|mlw|rle[1-9]|nm[1-9]\d*:[1-9]\d*")
_SEVERAL = re.compile(r"of:[1-9]\d*x[1-9]\d*x[1-9]\d*(?:\+[1-9]\d*x[1-9]\d*x[1-9]\d*)*")
_FIXED = re.compile(r"fixed:\(?(\d+),(\d+),(\d+)\)?|fixed:(\d+)x(\d+)x(\d+)")


@dataclass(frozen=True, kw_only=True)
class NPUConfig:
    """A neural processing unit.

    Attributes:
        name: Name of the configuration.
        source: Source of the numbers.
        freq_hz: Clock.
        macs: Multipliers of `max_bits` x `max_bits`.
        shapes: Shapes (r, c, p) the array can take at run time: r input channels summed, c output channels, p output
            positions at once, with r*c*p = macs. `pow2` means all powers of two, `of:RxCxP+RxCxP` these,
            `fixed:RxCxP` one; a systolic array has R rows and C columns, `fixed:RxCx1`.
        dataflow: `tree` (operands broadcast, products summed in a tree), `systolic_ws`, `systolic_os`, `systolic_is`,
            `ethos_u55` (the U65 as well), or `ethos_u85`.
        pipeline_depth: Clocks to fill the array, once per tile; systolic forms have it inside.
        acc_bits: Width of accumulators.
        im2col: Whether kernel elements can be summed on the r lanes, beside input channels.
        dw_taps: The same for depthwise layers only.
        groups_on_lanes: Whether channels of a depthwise layer take the c lanes; if not, they come one after the other,
            as with a spatial mapping of input and output channels alone.
        inner: Loop that runs innermost over the operands in the buffers: `sum` (a sum stays in its accumulator),
            `positions` (a weight stays in its register), `channels` (an input stays). Sums that do not stay go through
            the output buffer. It decides energy, not clocks.
        precision: Use of narrow operands: `none`, `weight_only`, `symmetric` (both at the wider width), `full2d`.
        brick_bits: Narrowest operand that gains anything.
        max_bits: Native operand; wider ones take several passes.
        sparsity: `none`, `gate` (energy only), `weight_skip`, `act_skip`, `dual_skip`.
        encoding: Encoding of stored weights: `dense`, `bitmask`, `rleR` (runs of R bits), `csc`, `nmN:M`, or `mlw`
            (Arm's, as measured).
        sync: Dense elements between two barriers of the lanes.
        window: Most dense elements that one lane passes in a clock.
        weight_kb, input_kb, output_kb: Buffers on the chip, KiB.
        double: Whether buffers are halved, so that one half is filled while the other is used.
        weight_port_bits, input_port_bits, output_port_bits: Width of the buffers towards the array, per clock.
        forwarding: Whether an output that fits its buffer stays there for the next layer, its only reader.
        fusion: Most layers of a chain that are computed band by band, without the maps between them leaving the unit;
            1 for none, see `nasplug_npu.fusion`.
        act_bytes_per_cycle, act_latency, act_burst_bytes, act_pj_per_bit: Memory of the feature maps.
        weight_bytes_per_cycle, weight_latency, weight_burst_bytes, weight_pj_per_bit: Memory of the weights.
        ports: Sharing of memory ports: `separate` (loads, stores and weights), `act_shared` (loads and stores of
            feature maps share a port), `shared` (one port for everything).
        align_channels: Feature maps are stored with channels rounded up to multiples.
        ppu_per_cycle: Elements that the post-process unit takes per clock.
        ppu_fused: Whether it works beside the array.
        ppu_operations: Layers it can do.
        layer_cycles, tile_cycles: Clocks to set up a layer, and a tile.
        tiling: Choice of tiles: `closed` (a closed form: fast) or `search` (all cuts of every layer are tried).
        objective: Objective that tilings are chosen by: `latency`, `traffic`, `energy`, `edp`.
        gate_fraction: Energy of a gated product relative to a full one.
        node_nm, vdd: Process, for energy, area and leakage. 0.9 V stands for the voltage that the shipped tables hold
            at: 0.9 V for arithmetic, for memories what CACTI takes at their node.
        sram: Table of memory constants.
        constants: Path of a file with constants of one's own, see `nasplug_npu.own_constants`.

    Raises:
        SpecError: A value that no unit can have.
    """

    name: str = "custom"
    source: str = ""
    freq_hz: float = 200e6
    macs: int = 32
    shapes: str = "pow2"
    dataflow: str = "tree"
    pipeline_depth: int = 4
    acc_bits: int = 32
    im2col: bool = False
    dw_taps: bool = False
    groups_on_lanes: bool = True
    inner: str = "sum"
    precision: str = "full2d"
    brick_bits: int = 2
    max_bits: int = 8
    sparsity: str = "weight_skip"
    encoding: str = "bitmask"
    sync: int = 64
    window: int = 4
    weight_kb: float = 16
    input_kb: float = 32
    output_kb: float = 16
    double: bool = True
    weight_port_bits: int = 256
    input_port_bits: int = 256
    output_port_bits: int = 128
    forwarding: bool = False
    fusion: int = 1
    act_bytes_per_cycle: float = 8
    act_latency: int = 32
    act_burst_bytes: int = 32
    act_pj_per_bit: float = 1.0
    weight_bytes_per_cycle: float = 4
    weight_latency: int = 64
    weight_burst_bytes: int = 128
    weight_pj_per_bit: float = 8.0
    ports: str = "act_shared"
    align_channels: int = 1
    ppu_per_cycle: float = 4
    ppu_fused: bool = True
    ppu_operations: tuple[str, ...] = POST_OPERATIONS[:8]
    layer_cycles: int = 200
    tile_cycles: int = 16
    tiling: str = "closed"
    objective: str = "latency"
    gate_fraction: float = 0.1
    node_nm: float = 45
    vdd: float = 0.9
    sram: str = "cacti"
    constants: str = ""

    def __post_init__(self) -> None:
        operations: object = self.ppu_operations
        if not isinstance(operations, (list, tuple)) or not all(isinstance(name, str) for name in operations):
            raise self._wrong("ppu_operations", "write a list, such as [maxpool, add]")
        object.__setattr__(self, "ppu_operations", tuple(operations))
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), field.type
            if kind == "str" and not isinstance(value, str):
                raise self._wrong(field.name, "write a text")
            if kind == "bool" and not isinstance(value, bool):
                raise self._wrong(field.name, "write true or false")
            if kind in ("int", "float") and not isinstance(value, bool):
                try:
                    number = float(value)
                except (TypeError, ValueError):
                    raise self._wrong(field.name, "give a number") from None
                if kind == "int" and number != int(number):
                    raise self._wrong(field.name, "give an integer")
                object.__setattr__(self, field.name, int(number) if kind == "int" else number)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise self._wrong(name, did_you_mean(str(getattr(self, name)), known))
        unknown = set(self.ppu_operations) - set(POST_OPERATIONS)
        if unknown:
            raise self._wrong("ppu_operations", did_you_mean(min(unknown), POST_OPERATIONS))
        if not _ENCODING.fullmatch(self.encoding):
            raise self._wrong("encoding", "write dense, bitmask, csc, mlw, rle4 or nm2:4")
        if self.shapes != "pow2" and not parse_shapes(self.shapes):
            raise self._wrong("shapes", "write pow2, a shape such as fixed:8x4x1, or several such as of:8x4x1+1x32x1")
        from nasplug_npu.rules import RULES

        for rule in RULES:
            if not rule.holds(self):
                raise SpecError(
                    rule.message, where=f"npu {self.name!r}", why=rule.because(self), fix=f"change {rule.fields[0]}"
                )

    def _wrong(self, field: str, fix: str) -> SpecError:
        return SpecError(f"{field} is {getattr(self, field)!r}", where=f"npu {self.name!r}", fix=fix)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """The only shape (r, c, p), or None if there are several."""
        return parse_shape(self.shapes)

    @property
    def named_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """The shapes that are named one by one; none if all powers of two are meant."""
        return parse_shapes(self.shapes)

    @property
    def nm(self) -> tuple[int, int] | None:
        """(N, M) if at most N of M neighbouring weights are not zero by construction."""
        return parse_nm(self.encoding)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Operations that the unit cannot do: a policy says what becomes of them, see `nasplug_npu.NPU`."""
        return tuple(name for name in OPERATIONS if name not in (*COMPUTE, *self.ppu_operations, "concat"))

    def replace(self, **changes: Any) -> Self:
        """A changed copy, checked again.

        Raises:
            SpecError: An unknown field, or a value that no unit can have.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise SpecError(
                    f"there is no field {name!r}", where=f"npu {self.name!r}", fix=did_you_mean(name, known)
                )
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**dataclasses.asdict(self), "ppu_operations": list(self.ppu_operations)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; what is left out keeps its default.

        Raises:
            SpecError: An unknown field, or a value that no unit can have.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in data:
            if name not in known:
                raise SpecError(f"there is no field {name!r}", where="npu", fix=did_you_mean(name, known))
        return cls(**data)

    def to_yaml(self) -> str:
        """As a YAML document."""
        import yaml

        return yaml.safe_dump(self.to_json(), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str | Path) -> Self:
        """Reads a YAML document, or the file at a path.

        Raises:
            SpecError: It is not a mapping of fields.
        """
        import yaml

        data = yaml.safe_load(text.read_text() if isinstance(text, Path) else text)
        if not isinstance(data, Mapping):
            raise SpecError("not a configuration of a unit", where="npu", fix="write one `field: value` per line")
        return cls.from_json(data)


def parse_shape(text: str) -> tuple[int, int, int] | None:
    """The shape that `fixed:8x4x1` names, or None."""
    found = _FIXED.fullmatch(text)
    if found is None:
        return None
    r, c, p = (int(group) for group in found.groups() if group)
    return r, c, p


def parse_shapes(text: str) -> tuple[tuple[int, int, int], ...]:
    """The shapes that `fixed:8x4x1` or `of:8x4x1+1x32x1` name; none for `pow2`, and for what names no shape."""
    one = parse_shape(text)
    if one is not None:
        return (one,)
    if not _SEVERAL.fullmatch(text):
        return ()
    found = []
    for part in text.removeprefix("of:").split("+"):
        r, c, p = (int(size) for size in part.split("x"))
        found.append((r, c, p))
    return tuple(found)


def parse_nm(text: str) -> tuple[int, int] | None:
    """(2, 4) for `nm2:4`, None for other encodings."""
    if not text.startswith("nm"):
        return None
    n, _, m = text.removeprefix("nm").partition(":")
    return int(n), int(m)


_CHOICES: dict[str, Sequence[str]] = {
    "dataflow": DATAFLOWS,
    "precision": PRECISIONS,
    "sparsity": SPARSITIES,
    "ports": PORTS,
    "objective": OBJECTIVES,
    "inner": INNER,
    "tiling": ("closed", "search"),
    "sram": ("cacti", "horowitz"),
}
