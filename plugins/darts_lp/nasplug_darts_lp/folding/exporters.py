"""`nasplug export --format darts_lp.integer` and `darts_lp.qdq`: quantised networks as files of integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.wording import plural
from nasplug.export.exporter import Found
from nasplug.export.onnx import describe, exported, run_onnx
from nasplug.export.raw import raw_network
from nasplug_darts_lp.folding.export import Deviation, deviation, in_onnx
from nasplug_darts_lp.folding.fold import FoldedNetwork, fold
from nasplug_darts_lp.folding.kernels import qdq

#: Inputs that a file is compared on.
_TRIED = 16


class Integer:
    """`darts_lp.integer`: one ONNX file of whole-number operators with the codes and sums of the quantised network.

    Takes raw pixels like the exporter `onnx`. Needs the extra `onnx`.

    Args:
        name: Name of the file.
        raw: Whether the preprocessing of pixels is inside.
    """

    #: Largest difference of two outputs, relative to the largest output.
    most = 1e-5

    def __init__(self, name: str = "network-integer.onnx", raw: bool = True) -> None:
        self.name, self.raw = name, raw

    def form(self, folded: FoldedNetwork) -> nn.Module:
        """What is written."""
        return folded

    def export(self, found: Found, folder: Path) -> Mapping[str, Path]:
        """Writes one file.

        Raises:
            SpecError: The network is not quantised, or does not take one float tensor.
            NasplugError: The file answers something else than the network.
        """
        if not found.inputs.is_plain:
            raise SpecError(
                "the network takes something else than one float tensor", where="fold", fix="export it as `onnx`"
            )
        path = folder / self.name
        written = self.form(fold(found.network, tuple(found.inputs.shape)))
        given = raw_network(replace(found, network=written), raw=self.raw)
        exact = raw_network(found, raw=self.raw).network
        exported(given.network, given.examples(2, 0)[0], path, free=given.free, **in_onnx())
        describe(found, path, raw=self.raw)
        (inputs,), _ = given.examples(_TRIED, 1)
        with torch.inference_mode():
            self.check(deviation(run_onnx(path, inputs)[0], exact(inputs)), path)
        return {self.name.removesuffix(".onnx"): path}

    def check(self, apart: Deviation, path: Path) -> None:
        """Compares a file with the quantised network.

        Raises:
            NasplugError: It answers something else.
        """
        if not apart.largest <= self.most:
            raise NasplugError(
                f"the file differs from the quantised network by {apart.largest:.2g} of the largest output",
                where=str(path),
                why=f"up to {self.most:g} is allowed; {plural(apart.decisions, 'decision')} of {apart.inputs} differ",
                fix="do not use this file; take `darts_lp.integer`" if self.most > 1e-3 else "do not use this file",
            )


class Qdq(Integer):
    """`darts_lp.qdq`: one ONNX file with QuantizeLinear and DequantizeLinear, for the integer kernels of runtimes.

    A code may differ by one from that of the quantised network where a sum is next to a threshold, so that outputs
    differ a little; see `nasplug_darts_lp.folding.kernels`. From about 4 bits. Needs the extra `onnx`.

    Args:
        name: Name of the file.
        raw: Whether the preprocessing of pixels is inside.
        most: Largest difference of an output on random inputs that is allowed, relative to the largest output.
    """

    def __init__(self, name: str = "network-qdq.onnx", raw: bool = True, most: float = 0.2) -> None:
        super().__init__(name, raw)
        self.most = most

    def form(self, folded: FoldedNetwork) -> nn.Module:
        """What is written."""
        return qdq(folded)
