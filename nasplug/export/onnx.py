"""A network as an ONNX file, checked against the network it came from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, TaskError
from nasplug.optional import require

if TYPE_CHECKING:
    import torch
    from torch import nn

#: Largest difference that is allowed between the outputs of the two, relative to the largest output.
TOLERANCE = 1e-3


def write_onnx(network: nn.Module, input_shape: Sequence[int], path: str | Path) -> float:
    """Writes a network as ONNX, for batches of any size, and runs it in onnxruntime on random inputs.

    Args:
        network: Takes float tensors (N, *input_shape); moved to the CPU and into inference mode.
        input_shape: Shape of one input without the batch.
        path: The file to write; one file with the weights inside.

    Returns:
        The largest difference between the outputs of the two, relative to the largest output.

    Raises:
        TaskError: The network cannot be written as ONNX.
        NasplugError: The ONNX network computes something else.
        MissingExtraError: The extra `onnx` is not installed.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra="onnx", purpose="export to ONNX")
    import torch

    network = network.cpu().eval()
    generator = torch.Generator().manual_seed(0)
    path = exported(network, torch.randn(2, *input_shape, generator=generator), path)
    difference = max(_difference(network, torch.randn(n, *input_shape, generator=generator), path) for n in (1, 3))
    if not difference <= TOLERANCE:
        raise NasplugError(
            f"the ONNX network differs from the trained one by {difference:.2g} of the largest output",
            where=str(path),
            why=f"up to {TOLERANCE:g} is allowed",
            fix="do not use this file; report the architecture to the plugin that builds it",
        )
    return difference


def exported(network: nn.Module, example: torch.Tensor, path: str | Path, **options: Any) -> Path:
    """Writes a network as one ONNX file, for batches of any size, and compares nothing.

    Args:
        network: On the CPU, in inference mode.
        example: A batch (N, ...) of at least two.
        path: The file to write.
        **options: Further ones of :func:`torch.onnx.export`.

    Raises:
        TaskError: The network cannot be written as ONNX.
    """
    import torch

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                str(path),
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
                **options,
            )
    except Exception as error:  # the exporter refuses in many ways
        raise TaskError(
            "the network cannot be written as ONNX",
            where=str(path),
            why=" ".join(f"{type(error).__name__}: {error}".split())[:500],
            fix="its weights and its architecture can be saved without ONNX",
        ) from error
    finally:
        logger.setLevel(level)
    return path


def run_onnx(path: str | Path, inputs: torch.Tensor) -> list[torch.Tensor]:
    """What onnxruntime answers on the CPU.

    Args:
        path: An ONNX file with one input.
        inputs: (N, ...).

    Raises:
        MissingExtraError: The extra `onnx` is not installed.
    """
    onnxruntime = require("onnxruntime", extra="onnx", purpose="run ONNX files")
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = [item.name for item in session.get_inputs()]
    return [torch.from_numpy(answer) for answer in session.run(None, {name: inputs.numpy()})]


def _difference(network: nn.Module, inputs: torch.Tensor, path: Path) -> float:
    import torch

    with torch.inference_mode():
        expected = network(inputs)
    (found,) = run_onnx(path, inputs)
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
