"""`nasplug npu run`: a folded network on the machine, beside its own integers and the clocks of the model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import DataError, SpecError
from nasplug_npu.machine.units import NAMES

if TYPE_CHECKING:
    from nasplug_darts_lp.folding.fold import FoldedNetwork
    from torch import Tensor

    from nasplug.cli.parser import Parser
    from nasplug_npu.config import NPUConfig

#: What runs a program, besides the simulators.
FUNCTIONAL = "functional"


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the form.

    Args:
        parser: Parser of the form.
    """
    from nasplug_npu.machine.simulators import SIMULATORS

    parser.add_argument("bundle", metavar="BUNDLE", help="folder of an exported network that was quantised")
    parser.add_argument("--images", metavar="FILE", help="inputs (N, C, H, W) as .npy (default: random ones)")
    parser.add_argument("--count", metavar="N", type=int, default=2, help="number of images (default: 2)")
    parser.add_argument(
        "--target",
        metavar="UNIT",
        default="dense",
        help=f"{', '.join(NAMES)}, or a unit as for estimate (default: dense)",
    )
    parser.add_argument(
        "--simulator",
        metavar="NAME",
        help=f"{', '.join(SIMULATORS)}, or {FUNCTIONAL}: clocks without the hardware (default: the fastest installed)",
    )
    parser.add_argument("--prefetch", action="store_true", help="load weights while the layer before is computed")
    parser.add_argument("--partial", action="store_true", help="leave what the machine cannot do to the host")
    parser.add_argument("--trust", action="store_true", help="run code that the bundle names")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Runs the network; 1 if any number differs.

    Args:
        arguments: Arguments of the form.

    Raises:
        SpecError: The machine cannot be built, or not compute the network.
        DataError: The images cannot be read.
    """
    from nasplug.cli import output
    from nasplug.contract.wording import plural
    from nasplug_npu.machine.parameters import parameters
    from nasplug_npu.machine.running import run
    from nasplug_npu.machine.simulators import simulator

    config, folded = _unit(arguments.target), _folded(arguments.bundle, trust=arguments.trust)
    images = _images(arguments.images, folded.input_shape, arguments.count)
    hardware = None
    if arguments.simulator != FUNCTIONAL:
        hardware = simulator(parameters(config), arguments.simulator)
    found = run(folded, config, images, hardware, prefetch=arguments.prefetch, partial=arguments.partial)
    if arguments.json:
        output.print_json({"bundle": arguments.bundle, "unit": config.to_json(), **found.to_json()})
        return int(found.differing > 0)
    rows = [
        [
            *(layer.name, f"{layer.bands}x{layer.groups}", "" if layer.clocks is None else f"{layer.clocks:,}"),
            *(f"{layer.functional:,}", f"{layer.predicted:,.0f}", f"{100 * layer.deviation:+.1f} %"),
            *(f"{layer.numbers:,}", f"{layer.differing:,}"),
        ]
        for layer in found.layers
    ]
    head = ["layer", "tiles", "hardware", "functional", "model", "model is off", "numbers", "differing"]
    output.print_table(head, rows, numeric=head[2:])
    numbers = sum(layer.numbers for layer in found.layers)
    print(
        f"{plural(found.images, 'image')}: {found.differing:,} of {numbers:,} numbers differ; {found.clocks:,} clocks "
        f"each, the model is off by {100 * found.deviation:+.1f} %"
    )
    if found.left:
        print(f"left to the host: {', '.join(found.left)}")
    return int(found.differing > 0)


def _unit(name: str) -> NPUConfig:
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.machine.units import unit
    from nasplug_npu.presets import parse

    if name in NAMES:
        return unit(name)
    config, _ = parse(name.removeprefix("npu:"))
    if not isinstance(config, NPUConfig):
        raise SpecError(f"{config.name} is described by rates", where="--target", fix=f"one of {', '.join(NAMES)}")
    return config


def _folded(bundle: str, *, trust: bool) -> FoldedNetwork:
    from nasplug.export.bundle import read_bundle, read_description
    from nasplug.optional import require

    folding = require(
        "nasplug_darts_lp.folding", extra="run", distribution="nasplug-npu", purpose="fold networks to integers"
    )
    description = read_description(Path(bundle))
    network = read_bundle(bundle, trust=trust)
    folded: FoldedNetwork = folding.fold(network, tuple(description["input_shape"]))
    return folded


def _images(path: str | None, shape: tuple[int, ...], count: int) -> Tensor:
    import numpy as np
    import torch

    if path is None:
        return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            "the images cannot be read", where=path, why=str(error), fix="save them with numpy.save"
        ) from error
    if found.shape[1:] != shape or not len(found):
        raise DataError(f"images of shape {found.shape}", where=path, fix=f"write (N, {', '.join(map(str, shape))})")
    return torch.from_numpy(found[:count].astype(np.float32))
