"""What the commands call MODEL: a known network, a file, a timm model, a class, or a trial of a study."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasplug.contract.errors import DataError, SpecError, UnknownNameError, did_you_mean
from nasplug.contract.io import inputs_of
from nasplug.contract.jsondata import parse_json
from nasplug.cost.candidate import Candidate
from nasplug.optional import require
from nasplug.workloads.workload import Workload
from nasplug_npu.networks import NETWORKS

FORMS = (
    "timm:NAME, package.module:function_or_class, STUDY.sqlite#TRIAL, a file that ends in .onnx, .json (a stored "
    f"workload), .csv (SCALE-Sim) or .yaml (Timeloop), or one of {', '.join(NETWORKS)}"
)


def read_workload(model: str, shape: Sequence[int] | None, arguments: argparse.Namespace) -> Workload:
    """The workload of a model.

    Args:
        model: See `FORMS`.
        shape: Shape of one input, where the model does not say it.
        arguments: Arguments of the command, with `plugin`.

    Raises:
        SpecError: The model is unknown, or needs an input and has none.
        DataError: A file that cannot be read.
    """
    if model in NETWORKS:
        return NETWORKS[model]()
    ending = Path(model).suffix.lower()
    if ending in (".onnx", ".json", ".csv", ".yaml", ".yml") and not model.startswith("timm:"):
        return _of_file(Path(model), ending)
    file, mark, trial = model.rpartition("#")
    if mark:
        return _of_trial(file, trial, arguments)
    if ":" not in model:
        raise UnknownNameError(
            f"{model!r} names no model", where="nasplug npu", fix=f"{did_you_mean(model, NETWORKS)}; or {FORMS}"
        )
    if shape is None:
        raise SpecError("the model needs an input", where="nasplug npu", fix="give --input, such as --input 3x224x224")
    network = _timm(model.removeprefix("timm:"), shape) if model.startswith("timm:") else _python(model)
    return Candidate(lambda: network, tuple(shape)).workload


def _of_file(path: Path, ending: str) -> Workload:
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), fix="check the path")
    if ending == ".onnx":
        from nasplug.workloads.onnx import read_onnx

        return read_onnx(path)
    if ending == ".csv":
        from nasplug_npu.formats.scalesim import from_scalesim

        return from_scalesim(path)
    if ending in (".yaml", ".yml"):
        from nasplug_npu.formats.timeloop import from_timeloop

        return from_timeloop(path)
    try:
        return Workload.from_json(parse_json(path.read_text(encoding="utf-8")))
    except DataError as error:
        error.within(str(path))
        raise
    except ValueError as error:
        raise DataError("not valid JSON", where=str(path), why=str(error)) from error


def _of_trial(file: str, number: str, arguments: argparse.Namespace) -> Workload:
    from nasplug.cli.loading import open_study, pick_trial

    if number and not number.isdigit():
        raise SpecError(
            f"expected the number of a trial, got {number!r}", where=f"{file}#{number}", fix=f"write {file}#0"
        )
    study, assembly = open_study(file, arguments)
    trial = pick_trial(study, int(number) if number else None, file)
    if assembly.task is None:
        raise SpecError("this study has no task that says what an input is", where=file)
    candidate = Candidate(
        lambda: study.build(trial),
        inputs_of(assembly.task),
        architecture=trial.architecture,
        space=assembly.space,
        task=assembly.task,
    )
    return candidate.workload


def _timm(name: str, shape: Sequence[int]) -> Any:
    timm = require("timm", extra="timm", purpose="build timm models")
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")
        raise UnknownNameError(f"timm has no model {name!r}", where="nasplug npu", fix=did_you_mean(name, near))
    try:
        return timm.create_model(name, in_chans=shape[0])
    except (TypeError, ValueError, RuntimeError) as error:
        raise SpecError(f"timm cannot build {name!r}", where="nasplug npu", why=str(error)) from error


def _python(location: str) -> Any:
    from nasplug.plugins.catalog import load_location
    from nasplug.plugins.trust import trusting

    with trusting():  # named on the command line, not in a file
        found, module = load_location(location, where="nasplug npu"), importlib.import_module("torch.nn").Module
    if not isinstance(found, module):
        try:
            found = found()
        except TypeError as error:
            raise SpecError(f"calling {location} failed", where="nasplug npu", why=str(error)) from error
    if not isinstance(found, module):
        raise SpecError(f"{location} gives a {type(found).__name__}, not a torch.nn.Module", where="nasplug npu")
    return found
