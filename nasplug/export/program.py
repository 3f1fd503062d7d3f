"""A network as a program of `torch.export`, checked against the network it came from."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from nasplug.export.agreement import check_difference, described, largest_difference, writing
from nasplug.export.exporter import Found
from nasplug.export.inference import inference_form
from nasplug.export.onnx import METADATA, dynamic_shapes
from nasplug.export.raw import raw_network

#: Name of the file inside the archive that holds preprocessing and classes.
EXTRA = f"{METADATA}.json"


def write_program(found: Found, path: Path, *, raw: bool = True) -> float:
    """Writes a network as a program for batches of any size, loads it and compares the two.

    Args:
        found: The network.
        path: File to write.
        raw: Whether the program takes raw pixels, where the task says how they are preprocessed.

    Returns:
        The largest difference between the outputs of the two, relative to the largest output.

    Raises:
        TaskError: The network cannot be written as a program.
        NasplugError: The program computes something else.
    """
    given = raw_network(found, raw=raw)
    network, examples = given.network, given.examples
    args, kwargs = examples(2, 0)
    with writing("a program of torch.export", path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = dynamic_shapes(network, args, kwargs, given.free)
        program = torch.export.export(inference_form(network), args, kwargs, dynamic_shapes=shapes)
        torch.export.save(program, str(path), extra_files={EXTRA: described(found, raw=raw)})
        again = torch.export.load(str(path)).module()
    largest = 0.0
    for batch in (1, 3):
        args, kwargs = examples(batch, batch)
        with torch.inference_mode():
            largest = max(largest, largest_difference(again(*args, **kwargs), network(*args, **kwargs)))
    return check_difference(largest, "program", path)
