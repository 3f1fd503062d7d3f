"""Announces low precision to nasplug; imports nothing of the methods themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.wrapper(
        "darts_lp.quantise",
        "nasplug_darts_lp.layers.quantise:Quantise",
        summary="Quantises weights and activations of every built network to 1 to 8 bits.",
    )
    catalog.callback(
        "darts_lp.callback",
        "nasplug_darts_lp.layers.callback:QuantisationSchedule",
        summary="Warm-up in floating point, decreasing bit widths and distillation while a quantised network trains.",
    )
    catalog.callback(
        "darts_lp.quantise_after",
        "nasplug_darts_lp.layers.after:QuantiseAfter",
        summary="Quantises a network that has trained in floating point, such as one that grew, and trains it on.",
    )
    catalog.space(
        "darts_lp.layers",
        "nasplug_darts_lp.spaces.layers.space:LayersSpace",
        summary="Residual networks: operation, kernel size, weight bits and activation bits of every block.",
    )
    catalog.space(
        "darts_lp.cell",
        "nasplug_darts_lp.spaces.cell.space:CellSpace",
        summary="The cells of DARTS, in floating point or with bit widths for every operation.",
    )
    catalog.strategy(
        "darts_lp.search",
        "nasplug_darts_lp.supernet.strategy:DifferentiableSearch",
        summary="Trains a supernet of operations and bit widths by gradients, and derives the networks it prefers.",
    )
    catalog.space(
        "darts_lp.bits",
        "nasplug_darts_lp.spaces.bits.space:BitsSpace",
        summary="Your own network: bits of weights and activations of every layer.",
    )
    catalog.strategy(
        "darts_lp.sensitivity",
        "nasplug_darts_lp.sensitivity.strategy:Sensitivity",
        summary="Gives every layer the bits that it misses most, by loss or curvature, under an exact budget.",
    )
    catalog.exporter(
        "darts_lp.integer",
        "nasplug_darts_lp.folding.exporters:Integer",
        summary="One ONNX file of a quantised network in whole numbers, exactly as it was scored.",
    )
    catalog.exporter(
        "darts_lp.qdq",
        "nasplug_darts_lp.folding.exporters:Qdq",
        summary="One ONNX file of a quantised network for the integer kernels of runtimes (QuantizeLinear).",
    )
