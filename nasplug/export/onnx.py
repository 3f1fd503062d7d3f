"""A network as an ONNX file, checked against the network it came from."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, InputsLike
from nasplug.export.agreement import check_difference, described, largest_difference, writing
from nasplug.optional import require

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto
    from torch import Tensor, nn

    from nasplug.export.exporter import Found

#: Key of the metadata that hold preprocessing and classes, as JSON.
METADATA = "nasplug"
#: What makes positional and named inputs out of a batch size and a seed.
Examples = Callable[[int, int], tuple[tuple[Any, ...], dict[str, Any]]]


def write_onnx(
    network: nn.Module,
    inputs: InputsLike,
    path: str | Path,
    *,
    examples: Examples | None = None,
    free: Mapping[int, str] | None = None,
) -> float:
    """Writes a network as ONNX, for batches of any size, and runs it in onnxruntime on random inputs.

    One input is called `input`; several have the names of the arguments of `forward`. The output is called `output`.

    Args:
        network: Network, called as the inputs say; moved to the CPU and into inference mode.
        inputs: Input of the network, or the shape of one float input without the batch.
        path: The file to write; one file with the weights inside.
        examples: Function that makes inputs out of a batch size and a seed; None draws random ones.
        free: Names of dimensions of the inputs that may have any size, beside the batch.

    Returns:
        The largest difference between the outputs of the two, relative to the largest output.

    Raises:
        TaskError: The network cannot be written as ONNX.
        NasplugError: The ONNX network computes something else.
        MissingExtraError: The extra `onnx` is not installed.
    """
    from nasplug.export.inference import inference_form

    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra="onnx", purpose="export to ONNX")
    network, known = network.cpu().eval(), Inputs.of(inputs)
    make = examples or (lambda batch, seed: known.example(batch, seed=seed))
    args, kwargs = make(2, 0)
    path = exported(inference_form(network), args, path, kwargs=kwargs, free=free)
    tried = [make(batch, batch) for batch in (1, 3)]
    return check_difference(
        max(_difference(network, args, kwargs, path) for args, kwargs in tried), "ONNX network", path
    )


def write_found(found: Found, path: str | Path, *, raw: bool = True) -> float:
    """Writes a found network as ONNX, with its preprocessing inside and the rest of it in the metadata.

    Args:
        found: The network.
        path: File to write.
        raw: Whether the file takes raw pixels, where the task says how they are preprocessed.

    Returns:
        The largest difference between the outputs of the two, relative to the largest output.

    Raises:
        TaskError: The network cannot be written as ONNX.
        NasplugError: The ONNX network computes something else.
        MissingExtraError: The extra `onnx` is not installed.
    """
    from nasplug.export.raw import raw_network

    given = raw_network(found, raw=raw)
    difference = write_onnx(given.network, given.inputs, path, examples=given.examples, free=given.free)
    describe(found, path, raw=raw)
    return difference


def describe(found: Found, path: str | Path, *, raw: bool) -> None:
    """Writes preprocessing and classes into the metadata of an ONNX file.

    Args:
        found: The network.
        path: The file.
        raw: Whether the file was to take raw pixels.
    """
    onnx = require("onnx", extra="onnx", purpose="export to ONNX")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA: described(found, raw=raw)})
    onnx.save(model, str(path))


def exported(
    network: nn.Module,
    example: torch.Tensor | tuple[torch.Tensor, ...],
    path: str | Path,
    *,
    kwargs: Mapping[str, torch.Tensor] | None = None,
    free: Mapping[int, str] | None = None,
    **options: Any,
) -> Path:
    """Writes a network as one ONNX file, for batches of any size, and compares nothing.

    Args:
        network: Network on the CPU, in inference mode.
        example: A batch (N, ...) of at least two, or one for every input by position.
        path: The file to write.
        kwargs: Batches of inputs by name.
        free: Names of dimensions of the inputs that may have any size, beside the batch.
        **options: Further ones of `torch.onnx.export`.

    Raises:
        TaskError: The network cannot be written as ONNX.
    """
    import torch

    path = Path(path)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    args = (example,) if isinstance(example, torch.Tensor) else example
    try:
        with writing("ONNX", path), warnings.catch_warnings():
            given = _arguments(network, args, kwargs or {})
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                args,
                None,
                kwargs=dict(kwargs or {}),
                input_names=list(_names(given)),
                output_names=["output"],
                dynamic_shapes=dynamic_shapes(network, args, kwargs or {}, free or {}),
                dynamo=True,
                external_data=False,
                verbose=False,
                **options,
            )
            assert program is not None
            _save(program.model_proto, path)
    finally:
        logger.setLevel(level)
    return path


def _save(model: ModelProto, path: Path) -> None:
    """Writes a model without what the exporter notes at every node: lines of source code, and paths of this machine."""
    onnx = require("onnx", extra="onnx", purpose="export to ONNX")
    for function in (model.graph, *model.functions):
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        for value in function.value_info:
            value.ClearField("metadata_props")
        function.ClearField("metadata_props")
        function.ClearField("doc_string")
    onnx.save(model, str(path))


def dynamic_shapes(
    network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], free: Mapping[int, str]
) -> Any:
    """Returns the shapes of inputs, by the names of the arguments of `forward`, with what is free in them.

    Args:
        network: The network.
        args: Inputs by position.
        kwargs: Inputs by name.
        free: Names of the dimensions that are free, beside the first one.
    """
    import torch

    dimensions = {0: "batch", **free}
    named = {position: torch.export.Dim(name) for position, name in dimensions.items()}
    return _each(_arguments(network, args, kwargs), named)


def run_onnx(path: str | Path, inputs: torch.Tensor | Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """What onnxruntime answers on the CPU.

    Args:
        path: An ONNX file.
        inputs: Batch (N, ...) of the only input, or batches by the name of the input.

    Raises:
        MissingExtraError: The extra `onnx` is not installed.
    """
    onnxruntime = require("onnxruntime", extra="onnx", purpose="run ONNX files")
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    if isinstance(inputs, torch.Tensor):
        (name,) = [item.name for item in session.get_inputs()]
        inputs = {name: inputs}
    used = {item.name for item in session.get_inputs()}  # an input that makes no difference may be left out
    answers = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in used})
    return [torch.from_numpy(answer) for answer in answers]


def _arguments(network: nn.Module, args: tuple[Tensor, ...], kwargs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs by the names and in the order of the arguments of `forward`."""
    return dict(inspect.signature(network.forward).bind(*args, **kwargs).arguments)


def _each(value: Any, what: Any) -> Any:
    """The structure of arguments with `what` in place of every tensor."""
    if isinstance(value, dict):
        return {name: _each(item, what) for name, item in value.items()}
    return tuple(_each(item, what) for item in value) if isinstance(value, tuple) else what


def _names(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors by the names that they have in the file, in order."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, tuple):  # *args
            found |= {f"{name}_{i}": item for i, item in enumerate(value)}
        else:
            found |= value if isinstance(value, dict) else {name: value}  # **kwargs, and plain arguments
    return found if len(found) > 1 else dict(zip(["input"], found.values(), strict=True))


def _difference(network: nn.Module, args: tuple[Tensor, ...], kwargs: Mapping[str, Tensor], path: Path) -> float:
    import torch

    with torch.inference_mode():
        expected = network(*args, **kwargs)
    found = run_onnx(path, _names(_arguments(network, args, kwargs)))
    if not isinstance(expected, torch.Tensor) or len(found) != 1:
        raise TaskError("the network has several outputs", where=str(path), fix="return one tensor from forward")
    return largest_difference(found[0], expected)
