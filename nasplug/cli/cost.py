"""`nasplug cost`: what a network costs, found or made elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.loading import find_plugins, open_study, pick_trial
from nasplug.cli.parser import Parser, input_tensor, key_value
from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean
from nasplug.contract.io import Inputs, check_images, inputs_of
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.labels import labeller
from nasplug.optional import require

if TYPE_CHECKING:
    from torch import nn

    from nasplug.cost.candidate import Candidate

SUMMARY = "Price a network: parameters, operations, hardware targets."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug cost`."""
    parser.add_argument(
        "model", metavar="MODEL", help="timm:NAME, package.module:function_or_class, or STUDY.sqlite#TRIAL"
    )
    parser.add_argument(
        "--input",
        metavar="SHAPE",
        action="append",
        type=input_tensor,
        help="one input, such as 3x224x224, 128:int64:30000 or mask=128:bool; may be repeated; a trial knows its own",
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=key_value,
        help="argument of the model, such as --set num_classes=10; may be repeated",
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        action="append",
        default=[],
        help="hardware target, such as cpu or npu:wu32; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print the costs as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the costs."""
    catalog = find_plugins(arguments).catalog
    from nasplug.run.assemble import find_target

    targets = [find_target(name, catalog) for name in dict.fromkeys(arguments.target)]  # refuse before building
    candidate = _candidate(arguments)
    from nasplug.cost.counts import count

    inputs = candidate.known_inputs
    named = None if candidate.architecture is None else labeller(candidate.space)(candidate.architecture)
    counts = count(candidate.network, inputs)
    estimates = {target.name: dict(target.estimate(candidate)) for target in targets}
    if arguments.json:
        output.print_json(
            {
                "model": arguments.model,
                "label": named or arguments.model,
                "input": list(inputs.shape),
                "inputs": inputs.to_plain(),
                "params": counts.params,
                "trainable_params": counts.trainable_params,
                "macs": counts.macs,
                "targets": estimates,
            }
        )
        return 0
    if named is not None:
        print(f"{output.printable(arguments.model)}: {output.printable(named)}")
    rows = [
        ["params", output.number(counts.params), ""],
        ["trainable params", output.number(counts.trainable_params), ""],
        ["macs", output.number(counts.macs), _described(inputs)],
    ]
    rows += [[key, output.number(value), name] for name, found in estimates.items() for key, value in found.items()]
    output.print_table(["cost", "value", "for"], rows, numeric=["value"])
    return 0


def _candidate(arguments: argparse.Namespace) -> Candidate:
    from nasplug.cost.candidate import Candidate

    file, hash_sign, trial = arguments.model.rpartition("#")
    if hash_sign:
        return _of_trial(file, trial, arguments)
    if arguments.input is None and arguments.model.startswith("timm:"):
        arguments.input = [_own_input(arguments.model.removeprefix("timm:"), dict(arguments.set))]
    if arguments.input is None:
        raise SpecError(
            "the model needs an input", where="nasplug cost", fix="give its shape, such as --input 3x224x224"
        )
    given, inputs = dict(arguments.set), _inputs(arguments.input)
    if arguments.model.startswith("timm:"):
        check_images(inputs)
        network = _timm(arguments.model.removeprefix("timm:"), inputs.shape, given)
    elif ":" in arguments.model:
        network = _python(arguments.model, given)
    else:
        raise SpecError(
            f"{arguments.model!r} names no model",
            where="nasplug cost",
            fix="write timm:NAME, package.module:function_or_class, or STUDY.sqlite#TRIAL",
        )
    return Candidate(lambda: network, inputs)


def _inputs(given: Sequence[tuple[str, JsonObject]]) -> Inputs:
    return Inputs.of(
        {
            "args": [tensor for name, tensor in given if not name],
            "kwargs": {name: tensor for name, tensor in given if name},
        }
    )


def _described(inputs: Inputs) -> str:
    if inputs.is_plain:
        return f"one input of {'x'.join(map(str, inputs.shape))}"
    return str(inputs)


def _of_trial(file: str, number: str, arguments: argparse.Namespace) -> Candidate:
    from nasplug.cost.candidate import Candidate

    if arguments.set:
        raise SpecError("a trial takes no arguments", where="--set", fix="leave --set out")
    if number and not number.isdigit():
        raise SpecError(f"expected the number of a trial, got {number!r}", where=arguments.model, fix=f"write {file}#0")
    study, assembly = open_study(file, arguments)
    trial = pick_trial(study, int(number) if number else None, file)
    inputs = None if assembly.task is None else inputs_of(assembly.task)
    if arguments.input is not None:
        inputs = _inputs(arguments.input)
    return Candidate(
        lambda: study.build(trial),
        inputs,
        architecture=trial.architecture,
        space=assembly.space,
        task=assembly.task,
        transformed=bool(assembly.spec.build) or bool(trial.edits),
    )


def _timm(name: str, shape: tuple[int, ...], given: JsonObject) -> nn.Module:
    from nasplug.spaces.timm import own_size

    timm = _known(name)
    try:
        network: nn.Module = timm.create_model(name, **{"in_chans": shape[0], **own_size(name, shape), **given})
        return network
    except (TypeError, ValueError, RuntimeError) as error:
        raise SpecError(f"timm cannot build {name!r}", where="nasplug cost", why=str(error)) from error


def _own_input(name: str, given: JsonObject) -> tuple[str, JsonObject]:
    """The input that the model's own configuration names; `img_size` and `in_chans` are the caller's."""
    config = _known(name).get_pretrained_cfg(name)
    channels, height, width = (3, 224, 224) if config is None else config.input_size
    size = given.get("img_size", [height, width])
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return "", {"shape": [given.get("in_chans", channels), height, width]}


def _known(name: str) -> ModuleType:
    timm = require("timm", extra="timm", purpose="build timm models")
    if not timm.is_model(name):
        raise UnknownNameError(
            f"timm has no model {name!r}", where="nasplug cost", fix=_nearest(name, timm.list_models())
        )
    return timm


def _nearest(name: str, names: list[str]) -> str:
    """The nearest name alone: the whole list has more than a thousand."""
    import difflib

    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    return did_you_mean(name, near) if near else "`python -c 'import timm; print(timm.list_models())'` lists them"


def _python(location: str, given: JsonObject) -> nn.Module:
    from nasplug.plugins.catalog import load_location
    from nasplug.plugins.trust import trusting

    with trusting():  # named on the command line, not in a file
        found: object = load_location(location, where="nasplug cost")
    from torch import nn

    if not isinstance(found, nn.Module):
        if not callable(found):
            raise SpecError(f"{location} is neither a network nor a function that makes one", where="nasplug cost")
        try:
            found = found(**given)
        except (TypeError, ValueError) as error:
            raise SpecError(f"calling {location} failed", where="nasplug cost", why=str(error)) from error
    if not isinstance(found, nn.Module):
        raise SpecError(f"{location} gives a {type(found).__name__}, not a torch.nn.Module", where="nasplug cost")
    return found
