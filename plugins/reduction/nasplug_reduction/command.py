"""`nasplug shrink`: from a trained model to a smaller one."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from nasplug.cli.parser import Parser
    from nasplug_reduction.result import Reduced

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_JOULES = {"j": 1.0, "mj": 1e-3, "uj": 1e-6}


class ShrinkCommand:
    """Make a trained model smaller, and write the smaller network with its weights, a table and a curve.

    MODEL is package.module:NAME of a class or function that makes a LightningModule or a network, or timm:NAME.

    Example:
      nasplug shrink my_project:Model --weights w.ckpt --data my_project.Data --keep 0.25 --metric val_acc
    """

    executes = True

    def add_arguments(self, parser: Parser) -> None:
        """Adds the options of `nasplug shrink`."""
        from nasplug.cli.parser import image_shape, key_value, natural, positive

        parser.add_argument("model", metavar="MODEL", help="package.module:NAME, or timm:NAME")
        parser.add_argument(
            "--weights",
            metavar="FILE",
            help="trained weights: a Lightning checkpoint, a state_dict, safetensors; or hub",
        )
        parser.add_argument(
            "--data",
            metavar="DATA",
            help="package.module.Class of a LightningDataModule, a folder of images, an .npz file",
        )
        parser.add_argument(
            "--keep", metavar="SHARE", type=float, help="share of the parameters that stays, such as 0.25"
        )
        parser.add_argument(
            "--macs", metavar="N", type=float, help="share of the multiply-accumulates, or their number"
        )
        parser.add_argument("--target", metavar="NAME", help="hardware target, such as cpu or npu:wu32")
        parser.add_argument("--latency", metavar="TIME", help="largest latency on the target, such as 2ms")
        parser.add_argument(
            "--energy", metavar="ENERGY", help="largest energy of an inference on the target, such as 1mJ"
        )
        parser.add_argument(
            "--metric",
            metavar="NAME",
            default="val_acc",
            help="metric of the validation; NAME:min where smaller is better and its name does not say so",
        )
        parser.add_argument(
            "--strategy", metavar="NAME", default="reduction.sensitivity", help="search strategy (default: %(default)s)"
        )
        parser.add_argument(
            "--epochs", metavar="E", type=natural, default=10, help="epochs of the final training (default: 10)"
        )
        parser.add_argument("--input", metavar="SHAPE", type=image_shape, help="one input, such as 3x224x224")
        parser.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[], type=key_value, help="argument of the model"
        )
        parser.add_argument(
            "--training",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            type=key_value,
            help="argument of the LightningModule, or setting of the training of a plain network, such as lr=0.01",
        )
        parser.add_argument(
            "--least", metavar="N", type=positive, help="smallest number of channels of a layer (default: 4)"
        )
        parser.add_argument(
            "--operators",
            metavar="NAME",
            nargs="+",
            default=[],
            help="substitutes of convolutions: kernel (the centre of it), separable (a depthwise-separable pair)",
        )
        parser.add_argument(
            "--resolutions",
            metavar="SHARE",
            nargs="+",
            type=float,
            default=[],
            help="shares of the resolution that the network may look at its inputs with, such as 0.5",
        )
        parser.add_argument("--out", metavar="DIR", help="folder to write; default: runs/NAME-reduced")
        parser.add_argument("--onnx", metavar="FILE", help="write the network as ONNX too")
        parser.add_argument("--workers", metavar="N", type=positive, default=1, help="worker processes (default: 1)")
        parser.add_argument("--device", metavar="NAME", default="cpu", help="cpu, cuda or auto (default: cpu)")
        parser.add_argument(
            "--seed", metavar="S", type=natural, default=0, help="seed of everything random (default: 0)"
        )
        parser.add_argument(
            "--retain",
            metavar="RULE",
            default="best 1",
            help="weights of trials that stay beside the result: best N, front or all (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")

    def run(self, arguments: argparse.Namespace) -> int:
        """Reduces the model, and prints and writes the result."""
        from nasplug.cli import output
        from nasplug.plugins.component import component
        from nasplug_reduction.shrink import shrink

        keep, at_most = _budget(arguments)
        name = re.sub(r"[^\w.]+", "-", arguments.model.rpartition(":")[2] or arguments.model)
        out = Path(arguments.out) if arguments.out else Path("runs") / f"{name}-reduced"
        out.mkdir(parents=True, exist_ok=True)
        if arguments.onnx:
            check_onnx(arguments.onnx)
        space: dict[str, object] = {"arguments": dict(arguments.set)}
        if arguments.input is not None:
            space["inputs"] = list(arguments.input)
        if arguments.operators:
            space["operators"] = arguments.operators
        if arguments.resolutions:
            space["resolutions"] = arguments.resolutions
        if arguments.least is not None:
            space["widths"] = {"least": arguments.least, "levels": 32}
        reduced = shrink(
            arguments.model,
            arguments.weights,
            arguments.data,
            keep=keep,
            at_most=at_most,
            metric=arguments.metric,
            target=arguments.target,
            strategy=component(arguments.strategy),
            epochs=arguments.epochs,
            space=space,
            training=dict(arguments.training),
            retain=arguments.retain,
            storage=out / "study.sqlite",
            workers=arguments.workers,
            device=arguments.device,
            seed=arguments.seed,
            progress=True,
        )
        reduced.write(out)
        written = [str(out)]
        if arguments.onnx:
            written.append(str(reduced.onnx(arguments.onnx)))
        if arguments.json:
            output.print_json({**reduced.to_json(), "written": written})
        else:
            _show(reduced, written)
        return 0


def check_onnx(path: str) -> None:
    """Makes sure that a file can be written in the end, before anything trains.

    Args:
        path: The file.

    Raises:
        StorageError: Its folder cannot be made.
        MissingExtraError: The extra `onnx` is not installed.
    """
    from nasplug.contract.errors import StorageError
    from nasplug.optional import require

    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, extra="onnx", purpose="export to ONNX")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write {path!r}", where="--onnx", why=str(error), fix="give a file in a folder that can be written"
        ) from error


#: What the catalogue names.
command = ShrinkCommand()
command.__doc__ = ShrinkCommand.__doc__


def _budget(arguments: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the original network, and largest values, by cost."""
    keep: dict[str, float] = {} if arguments.keep is None else {"params": arguments.keep}
    at_most: dict[str, float] = {}
    if arguments.macs is not None:
        (keep if arguments.macs < 1 else at_most)["macs"] = arguments.macs
    for option, key, units in (("latency", "latency_s", _SECONDS), ("energy", "energy_j", _JOULES)):
        text = getattr(arguments, option)
        if text is None:
            continue
        if arguments.target is None:
            raise SpecError(
                f"--{option} is measured on a target", where="nasplug shrink", fix="add --target, such as --target cpu"
            )
        at_most[f"{arguments.target.partition(':')[0]}/{key}"] = _quantity(text, units, f"--{option}")
    if not keep and not at_most:
        raise SpecError(
            "there is no budget", where="nasplug shrink", fix="add --keep 0.25, --macs, --latency or --energy"
        )
    return keep, at_most


def _quantity(text: str, units: dict[str, float], where: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?)\s*([a-zA-Z]+)", text.strip())
    if found is None or found[2].lower() not in units:
        raise SpecError(f"cannot read {text!r}", where=where, fix=f"write a number with one of {', '.join(units)}")
    return float(found[1]) * units[found[2].lower()]


def _show(reduced: Reduced, written: list[str]) -> None:
    from nasplug.cli import output

    rows = reduced.rows
    columns = list(rows[0].values)
    first = rows[0].values
    cells = []
    for row in rows:
        line = [row.name]
        for name in columns:
            value = row.values.get(name)
            text = output.number(value)
            if name != reduced.metric.name and row is not rows[0] and value is not None and first[name]:
                text += f" ({value / first[name]:.1%})"
            line.append(text)
        cells.append(line)
    output.print_table(["network", *columns], cells, numeric=columns)
    if reduced.is_uniform:
        from nasplug_reduction.result import SAME

        print(SAME)
    print(f"written: {', '.join(map(output.printable, written))}")
