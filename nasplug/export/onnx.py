"""A network as an ONNX file, checked against the network it came from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug._optional import require
from nasplug.errors import NasplugError, TaskError

if TYPE_CHECKING:
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

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    network = network.cpu().eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *input_shape, generator=generator)
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
            )
    except Exception as error:  # the exporter refuses in many ways
        raise TaskError(
            "the network cannot be written as ONNX",
            where=str(path),
            why=" ".join(f"{type(error).__name__}: {error}".split())[:500],
            fix="leave --onnx out; weights and architecture can be exported without it",
        ) from error
    finally:
        logger.setLevel(level)
    difference = max(_difference(network, torch.randn(n, *input_shape, generator=generator), path) for n in (1, 3))
    if not difference <= TOLERANCE:
        raise NasplugError(
            f"the ONNX network differs from the trained one by {difference:.2g} of the largest output",
            where=str(path),
            why=f"up to {TOLERANCE:g} is allowed",
            fix="do not use this file; report the architecture to the plugin that builds it",
        )
    return difference


def _difference(network: nn.Module, inputs: object, path: Path) -> float:
    import onnxruntime
    import torch

    assert isinstance(inputs, torch.Tensor)
    with torch.inference_mode():
        expected = network(inputs)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = [item.name for item in session.get_inputs()]
    found = torch.from_numpy(session.run(None, {name: inputs.numpy()})[0])
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
