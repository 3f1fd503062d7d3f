"""Energy, by what it is spent on. It is linear in amounts that add up over layers, with coefficients per unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug_npu import constants
from nasplug_npu.model import sparsity
from nasplug_npu.model.array import ArrayWork
from nasplug_npu.model.rows import Array, Rows
from nasplug_npu.model.systolic import buffer_accesses
from nasplug_npu.model.tiling import Tiling

if TYPE_CHECKING:
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.model.points import Points


#: What energy is itemised by: products and their sums; operands between buffers and multipliers; buffers; memories
#: outside; the post-process unit; leakage; and the processor that takes what the unit cannot do.
ITEMS = ("multiply", "register", "buffer", "memory", "post", "leakage", "processor")
#: Amounts that energy is computed from: picojoules at the base process, and bits moved.
AMOUNTS = (
    *("product_pj", "gated_pj", "register_bits", "weight_read_bits", "input_read_bits", "sum_bits"),
    *("weight_fill_bits", "input_fill_bits", "output_bits", "weight_memory_bits", "map_memory_bits", "post_pj"),
    "processor_j",
)


def amounts(rows: Rows, hw: Points, work: ArrayWork, tiling: Tiling) -> tuple[dict[str, Any], Array]:
    """The amounts of every layer, (L, P) each, and the products that are really computed."""
    computed, gated = _products(rows, hw)
    weight_bits, input_bits = rows.second_bits, rows.input_bits
    known = constants.of(hw)
    product = known.multiply_pj(weight_bits, input_bits) + known.add_pj(hw.acc_bits)
    # An operand is read once for all lanes that use it in a clock; lanes at different places read it each.
    summed = np.where(rows.depthwise, 1.0, work.reduction)
    alone_by_weight, alone_by_input = (alone * (work.skips > 0) for alone in sparsity.skipped(hw.sparsity))
    per_weight = weight_bits / np.where(alone_by_input, 1.0, work.positions)
    per_input = input_bits / np.where(rows.depthwise | alone_by_weight, 1.0, work.channels)
    if hw.dataflow.startswith("systolic"):
        inputs, weights, outputs = (np.where(rows.mac, count, 0.0) for count in buffer_accesses(rows, hw))
        weight_reads, input_reads = weights * weight_bits, inputs * input_bits
        sums = 2 * outputs * hw.acc_bits
    else:
        weight_reads, input_reads = computed * per_weight, computed * per_input
        rounds = tiling.chunks  # in which a sum is formed; between them it is in the output buffer
        if hw.inner != "sum":
            rounds = np.maximum(np.ceil(rows.taps * np.where(rows.depthwise, 1.0, rows.reduction) / summed), rounds)
        if hw.inner == "positions":  # a weight stays in its register for all positions of a tile
            weight_reads = np.minimum(weight_reads, computed * weight_bits / (rows.positions / tiling.bands))
        elif hw.inner == "channels":  # an input stays for all output channels of a tile
            kept = np.where(rows.depthwise, 1.0, rows.filters / tiling.groups)
            input_reads = np.minimum(input_reads, computed * input_bits / kept)
        sums = np.where(rows.mac, 2 * (rounds - 1) * (rows.outputs * hw.acc_bits), 0.0)
    pool = np.where(rows.kind("maxpool", "avgpool"), rows.outputs * rows.taps * known.add_pj(hw.acc_bits), 0.0)
    post = rows.outputs * (known.multiply_pj(hw.acc_bits, 16) + known.add_pj(hw.acc_bits)) + pool
    found = {
        "product_pj": computed * product,
        "gated_pj": gated * product,
        "register_bits": computed * (per_weight + per_input + hw.acc_bits / summed),
        "weight_read_bits": weight_reads,
        "input_read_bits": input_reads + np.where(rows.mac, 0.0, tiling.input_bits),
        "sum_bits": sums,
        "weight_fill_bits": tiling.weight_bits + tiling.second_bits,
        "input_fill_bits": tiling.input_bits,
        "output_bits": tiling.output_bits + rows.kept_out * rows.outputs * rows.output_bits,
        "weight_memory_bits": tiling.weight_bits,
        "map_memory_bits": tiling.second_bits + tiling.input_bits + tiling.output_bits,
        "post_pj": np.where(rows.kind("concat"), 0.0, post),
        "processor_j": np.zeros((len(rows), 1)),
    }
    return found, computed


def coefficients(hw: NPUConfig | Points) -> dict[str, dict[str, Any]]:
    """Picojoules per unit of each amount, by item; leakage in watts. Numbers, or arrays over points."""
    known = constants.of(hw)
    scale = known.process_scale(hw.node_nm, hw.vdd)

    def buffer(quantity: str, part: str) -> Any:
        capacity, width = getattr(hw, f"{part}_kb"), getattr(hw, f"{part}_port_bits")
        return known.memory(quantity, capacity, width, hw.node_nm) * known.voltage(hw.vdd)

    output = buffer("read", "output") + buffer("write", "output")
    return {
        "multiply": {"product_pj": scale, "gated_pj": scale * hw.gate_fraction},
        "register": {"register_bits": scale * known.arithmetic["register_per_bit"]},
        "buffer": {
            "weight_read_bits": buffer("read", "weight"),
            "weight_fill_bits": buffer("write", "weight"),
            "input_read_bits": buffer("read", "input"),
            "input_fill_bits": buffer("write", "input"),
            "output_bits": output,
            "sum_bits": output / 2,
        },
        "memory": {"weight_memory_bits": hw.weight_pj_per_bit, "map_memory_bits": hw.act_pj_per_bit},
        "post": {"post_pj": scale},
        "leakage": {"seconds": leakage_w(hw) * 1e12},
        "processor": {"processor_j": 1e12},
    }


def joules(amount: Mapping[str, Any], seconds: Any, coefficient: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Joules by item.

    Args:
        amount: Amount of a layer or of a network.
        seconds: Duration in seconds.
        coefficient: See `coefficients`.
    """
    found = {}
    for item, parts in coefficient.items():
        total: Any = 0.0
        for name, value in parts.items():
            total = total + (seconds if name == "seconds" else amount[name]) * value
        found[item] = total * 1e-12
    return found


def leakage_w(hw: NPUConfig | Points) -> Any:
    """Watts that buffers and multipliers leak at their node; with the voltage, as currents are taken to be constant."""
    known = constants.of(hw)
    sizes = (hw.weight_kb, hw.input_kb, hw.output_kb)
    memories = sum(known.memory("leak", size, node_nm=hw.node_nm) for size in sizes) * 1e-3
    found = known.arithmetic
    multiplier = found["leak_multiplier_per_bit2"] * hw.max_bits**2 + found["leak_adder_per_bit"] * hw.acc_bits
    logic = hw.macs * multiplier * 1e-6 * known.logic_leakage(hw.node_nm)
    return (memories + logic) * (hw.vdd / known.vdd)


def _products(rows: Rows, hw: Points) -> tuple[Array, Array]:
    """Products that are computed, and that are only gated, (L, 1) each."""
    by_weight = np.where(rows.matmul, rows.input_density, rows.weight_density)
    both = by_weight * rows.input_density
    if hw.sparsity == "gate":
        return rows.macs * both, rows.macs * (1 - both)
    none = np.zeros((len(rows), 1))
    structured = sparsity.structured_share(rows, hw)
    if structured is not None:
        return rows.macs * structured, none
    left = {"weight_skip": by_weight, "act_skip": rows.input_density, "dual_skip": both}.get(hw.sparsity)
    return rows.macs * (1.0 if left is None else left), none
