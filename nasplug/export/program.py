"""A network as a program of `torch.export`, checked against the network it came from."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch

from nasplug.contract.errors import NasplugError, TaskError
from nasplug.export.description import facts
from nasplug.export.exporter import Found
from nasplug.export.onnx import METADATA, TOLERANCE, dynamic_shapes
from nasplug.export.raw import is_raw, raw_network

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
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shapes = dynamic_shapes(network, args, kwargs, given.free)
            program = torch.export.export(network, args, kwargs, dynamic_shapes=shapes)
            described = json.dumps({**facts(found), "raw": raw and is_raw(found)})
            torch.export.save(program, str(path), extra_files={EXTRA: described})
            again = torch.export.load(str(path)).module()
    except Exception as error:  # it refuses in many ways
        raise TaskError(
            "the network cannot be written as a program of torch.export",
            where=str(path),
            why=" ".join(f"{type(error).__name__}: {error}".split())[:500],
            fix="its weights and its architecture can be saved without it",
        ) from error
    difference = 0.0
    for batch in (1, 3):
        args, kwargs = examples(batch, batch)
        with torch.inference_mode():
            expected, answer = network(*args, **kwargs), again(*args, **kwargs)
        size = expected.double().abs().max().clamp_min(1e-12)
        difference = max(difference, float((answer.double() - expected.double()).abs().max() / size))
    if not difference <= TOLERANCE:
        raise NasplugError(
            f"the program differs from the trained network by {difference:.2g} of the largest output",
            where=str(path),
            fix="do not use this file; report the architecture to the plugin that builds it",
        )
    return difference
