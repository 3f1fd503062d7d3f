"""Networks as the contents of files: ONNX, ONNX of eight bits, and ExecuTorch programs for XNNPACK."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs
from nasplug.optional import require

if TYPE_CHECKING:
    from torch import nn

#: What makes the content of a file out of a network in inference mode, its inputs and a batch size.
Maker = Callable[["nn.Module", Inputs, int], bytes]
#: Batches of random inputs that the ranges of quantised activations are read off.
_CALIBRATION = 4


def onnx(network: nn.Module, inputs: Inputs, batch: int) -> bytes:
    """Returns a network as an ONNX file, for batches of any size.

    Args:
        network: Network on the CPU, in inference mode.
        inputs: Inputs of it.
        batch: Number of inputs of an inference; not used.

    Raises:
        TaskError: It cannot be written as ONNX.
        MissingExtraError: The extra `onnx` is not installed.
    """
    from nasplug.export.onnx import exported

    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra="onnx", purpose="measure networks in onnxruntime")
    args, kwargs = inputs.example(2)
    with tempfile.TemporaryDirectory() as folder:
        return exported(network, args, Path(folder) / "network.onnx", kwargs=kwargs).read_bytes()


def onnx_int8(network: nn.Module, inputs: Inputs, batch: int) -> bytes:
    """Returns a network as an ONNX file whose weights and activations have eight bits.

    Ranges of activations come from random inputs, since only the time and the size count here.

    Args:
        network: Network on the CPU, in inference mode.
        inputs: Inputs of it.
        batch: Number of inputs of an inference; not used.

    Raises:
        TaskError: It cannot be written as ONNX, or not be quantised.
        MissingExtraError: The extra `onnx` is not installed.
    """
    content = onnx(network, inputs, batch)
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from nasplug.cost.deployed.run_onnxruntime import example

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    kinds = [(each.name, each.type, each.shape) for each in session.get_inputs()]

    class Random(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._left = _CALIBRATION

        def get_next(self) -> dict[str, Any] | None:
            self._left -= 1
            return {name: example(kind, shape, 1) for name, kind, shape in kinds} if self._left >= 0 else None

    with tempfile.TemporaryDirectory() as folder, _quietly():
        paths = [str(Path(folder) / name) for name in ("float.onnx", "prepared.onnx", "int8.onnx")]
        Path(paths[0]).write_bytes(content)
        try:
            quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
            quantize_static(paths[1], paths[2], Random(), quant_format=QuantFormat.QDQ, per_channel=True)
        except Exception as error:  # onnxruntime raises whatever its own parts raise
            raise TaskError(
                "the network cannot be quantised to eight bits",
                where="onnxruntime:int8",
                why=f"{type(error).__name__}: {error}"[:600],
                fix="use the target onnxruntime, which runs it in floating point",
            ) from error
        return Path(paths[2]).read_bytes()


def executorch(network: nn.Module, inputs: Inputs, batch: int) -> bytes:
    """Returns a network as an ExecuTorch program for XNNPACK.

    Args:
        network: Network on the CPU, in inference mode.
        inputs: Inputs of it.
        batch: Number of inputs of an inference, which the program is made for.

    Raises:
        TaskError: It cannot be written as a program, or takes inputs by name.
        MissingExtraError: The extra `executorch` is not installed.
    """
    purpose = "measure networks in ExecuTorch"
    exir: Any = require("executorch.exir", extra="executorch", purpose=purpose)
    partition: Any = require(
        "executorch.backends.xnnpack.partition.xnnpack_partitioner", extra="executorch", purpose=purpose
    )
    import torch

    args, kwargs = inputs.example(batch)
    with _quietly():
        try:
            program = torch.export.export(network, args, kwargs)
            lowered = exir.to_edge_transform_and_lower(program, partitioner=[partition.XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)
        except Exception as error:  # the exporters raise whatever their own parts raise
            raise TaskError(
                "the network cannot be written as an ExecuTorch program",
                where="executorch",
                why=f"{type(error).__name__}: {error}"[:600],
                fix="make forward traceable by torch.export, or measure in onnxruntime",
            ) from error


#: By the name of the format.
MAKERS: Mapping[str, Maker] = {"onnx": onnx, "onnx_int8": onnx_int8, "executorch": executorch}


def made(form: str, network: nn.Module, inputs: Inputs, batch: int) -> bytes:
    """Returns the content of a file; the network is left as it was.

    Args:
        form: Name of the format, one of `MAKERS`.
        network: Network of any mode.
        inputs: Inputs of it.
        batch: Number of inputs of an inference.

    Raises:
        TaskError: It cannot be written in this format.
        MissingExtraError: An extra is not installed.
    """
    return MAKERS[form](copy.deepcopy(network).cpu().eval(), inputs, batch)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps exporters from telling what they do."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
