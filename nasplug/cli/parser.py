"""An argument parser whose errors are the project's own: one message with a suggestion, without the usage text."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that raises `nasplug.contract.errors.SpecError`; sub-parsers do so too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parses all words.

        Raises:
            SpecError: A word is unknown, missing or of the wrong type.
        """
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].split("=")[0]
            options = re.findall(r"--[a-z][a-z-]*", self.format_help())
            fix = did_you_mean(word, options) if word.startswith("-") else f"`{self.prog} --help` shows what it takes"
            raise SpecError(f"unknown argument {word!r}", where=self.prog, fix=fix)
        return arguments

    def error(self, message: str) -> NoReturn:
        """Called by argparse.

        Raises:
            SpecError: Always.
        """
        raise SpecError(message, where=self.prog, fix=f"`{self.prog} --help` shows what it takes")


def key_value(text: str) -> tuple[str, Json]:
    """Reads `name=value`, the value as YAML, for options such as `--hyperparameter lr=1e-3`.

    Raises:
        argparse.ArgumentTypeError: There is no equals sign, or no name.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), parse_scalar(value)


def parse_scalar(text: str) -> Json:
    """Reads a number, true, false, null or text, as in a YAML file; `1e-3` is a number."""
    import yaml

    try:
        if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", text.strip()):
            return float(text)
        read: Json = yaml.safe_load(text)
        return read
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def image_shape(text: str) -> tuple[int, ...]:
    """Reads `3x224x224`.

    Raises:
        argparse.ArgumentTypeError: It has another form.
    """
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"expected a shape such as 3x224x224, got {text!r}")
    return tuple(int(size) for size in text.split("x"))


def input_tensor(text: str) -> tuple[str, JsonObject]:
    """Reads `3x224x224`, `128:int64:30000` (type and vocabulary) or `mask=128:bool`: a name and a description.

    Raises:
        argparse.ArgumentTypeError: It has another form.
    """
    found = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?([1-9]\d*(?:x[1-9]\d*)*)(?::([a-z]+\d*))?(?::([1-9]\d*))?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an input, such as 3x224x224 or mask=128:bool")
    name, shape, dtype, high = found.groups()
    described: dict[str, Json] = {"shape": image_shape(shape)}
    if dtype is not None:
        described["dtype"] = dtype
    if high is not None:
        described["high"] = int(high)
    return name or "", described


def positive(text: str) -> int:
    """Reads a positive integer.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return int(text)


def natural(text: str) -> int:
    """Reads a non-negative integer.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError(f"expected a non-negative integer, got {text!r}")
    return int(text)
