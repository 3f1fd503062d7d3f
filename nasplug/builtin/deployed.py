"""Targets that run what is deployed: `onnxruntime`, `executorch`, and `command`, a program of the user's own."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence

from nasplug.builtin.target import read_options
from nasplug.contract.errors import SpecError, TrustError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.cost.candidate import Candidate
from nasplug.plugins.trust import trusted

_PACKAGE = "nasplug.cost.deployed"
_FORMATS = ("onnx", "onnx_int8", "executorch")


class DeployedTarget:
    """A file that a program runs and measures; the network itself never runs.

    Args:
        name: Full name of the target.
        form: Format of the file: `onnx`, `onnx_int8` or `executorch`.
        command: Program and its arguments; it gets the file on stdin and prints costs as JSON.
        batch_size: Number of inputs of an inference.
        timeout: Seconds that the program may take.
    """

    def __init__(self, name: str, form: str, command: Sequence[str], batch_size: int, timeout: float) -> None:
        self.name, self._form, self._command = name, form, tuple(command)
        self._batch_size, self._timeout = batch_size, timeout
        self.capabilities: JsonObject = {
            "measured": True,
            "format": form,
            "batch_size": batch_size,
            "bits": [8] if form.endswith("int8") else [32],
        }

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """What the program says, such as `latency_s`, `latency_p10_s` and `latency_p90_s`, beside `file_bytes`.

        Raises:
            TaskError: The network cannot be written as such a file, or the program failed.
            MissingExtraError: An extra is not installed.
        """
        from nasplug.cost.deployed.files import made
        from nasplug.cost.deployed.measuring import ask

        content = made(self._form, candidate.network, candidate.known_inputs, self._batch_size)
        found = ask(self._command, content, where=f"target {self.name!r}", timeout=self._timeout)
        return {"file_bytes": float(len(content)), **found}


class OnnxRuntime:
    """Latency and peak memory of the ONNX file in onnxruntime on this machine, in a process of its own.

    The name may carry options: `onnxruntime:int8`, `onnxruntime:int8,threads=2`.

    Args:
        batch_size: Number of inputs of an inference.
        repeats: Number of timed inferences.
        warmup: Number of inferences before them.
        threads: Threads of one operator.
        timeout: Seconds that a measurement may take.
    """

    variants = ("onnxruntime", "onnxruntime:int8", "onnxruntime:batch_size=8", "onnxruntime:int8,threads=2")

    def __init__(
        self, batch_size: int = 1, repeats: int = 50, warmup: int = 5, threads: int = 1, timeout: int = 120
    ) -> None:
        self._options = {"batch_size": batch_size, "repeats": repeats, "warmup": warmup, "threads": threads}
        self._options["timeout"] = timeout

    @hookimpl
    def hardware_target(self, name: str) -> DeployedTarget | None:
        """See the hook.

        Raises:
            SpecError: An unknown option, or a value that is not a positive integer.
        """
        family, _, variant = name.partition(":")
        if family != "onnxruntime":
            return None
        precision, _, rest = variant.partition(",")
        if precision not in ("int8", "float"):
            precision, rest = "float", variant
        chosen = read_options(rest, self._options, name)
        numbers = [str(chosen[key]) for key in ("batch_size", "repeats", "warmup", "threads")]
        command = [sys.executable, "-m", f"{_PACKAGE}.run_onnxruntime", *numbers]
        form = "onnx_int8" if precision == "int8" else "onnx"
        return DeployedTarget(name, form, command, chosen["batch_size"], chosen["timeout"])


class ExecuTorch:
    """Latency and peak memory of the ExecuTorch program for XNNPACK on this machine, in a process of its own.

    The name may carry options: `executorch:batch_size=8,threads=2`. Needs the extra `executorch`.

    Args:
        batch_size: Number of inputs of an inference.
        repeats: Number of timed inferences.
        warmup: Number of inferences before them.
        threads: Threads of torch beside those that XNNPACK takes.
        timeout: Seconds that a measurement may take.
    """

    variants = ("executorch", "executorch:batch_size=8", "executorch:repeats=200")

    def __init__(
        self, batch_size: int = 1, repeats: int = 50, warmup: int = 5, threads: int = 1, timeout: int = 300
    ) -> None:
        self._options = {"batch_size": batch_size, "repeats": repeats, "warmup": warmup, "threads": threads}
        self._options["timeout"] = timeout

    @hookimpl
    def hardware_target(self, name: str) -> DeployedTarget | None:
        """See the hook.

        Raises:
            MissingExtraError: The extra `executorch` is not installed.
            SpecError: An unknown option, or a value that is not a positive integer.
        """
        family, _, variant = name.partition(":")
        if family != "executorch":
            return None
        chosen = read_options(variant, self._options, name)
        from nasplug.optional import require

        require("executorch", extra="executorch", purpose="measure networks in ExecuTorch")
        numbers = [str(chosen[key]) for key in ("repeats", "warmup", "threads")]
        command = [sys.executable, "-m", f"{_PACKAGE}.run_executorch", *numbers]
        return DeployedTarget(name, "executorch", command, chosen["batch_size"], chosen["timeout"])


class Command:
    """Costs that a program of your own measures, such as one that copies the file to a device and runs it there.

    The name holds the command line, with settings before it: `command:./measure.sh --device pi`,
    `command:format=onnx_int8 timeout=600 ssh pi measure`. The program reads the exported file from stdin and prints one
    JSON object of numbers on stdout, such as `{"latency_s": [0.0021, 0.0022], "peak_memory_bytes": 1048576}`; a list
    becomes its median with the 10th and 90th percentile. Costs are called `command/latency_s` and so on.

    Args:
        format: Format of the file: `onnx`, `onnx_int8` or `executorch`.
        batch_size: Number of inputs of an inference, for formats that are made for one batch size.
        timeout: Seconds that the program may take.
    """

    variants = ("command:./measure.sh", "command:format=onnx_int8 timeout=600 ssh device measure")

    def __init__(self, format: str = "onnx", batch_size: int = 1, timeout: int = 300) -> None:
        self._format, self._numbers = format, {"batch_size": batch_size, "timeout": timeout}

    @hookimpl
    def hardware_target(self, name: str) -> DeployedTarget | None:
        """See the hook.

        Raises:
            SpecError: An unknown program, an unknown setting, or a value that is not a positive integer.
            TrustError: A file that was not trusted names the program.
        """
        family, _, line = name.partition(":")
        if family != "command":
            return None
        if not trusted():
            raise TrustError(
                "it names a program, which would be started",
                where=f"target {name!r}",
                why="measuring on this target starts it",
                fix="read the command line; if you trust it, add --trust (or trust=True in Python)",
            )
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise SpecError("cannot read the command line", where=f"target {name!r}", why=str(error)) from error
        form, settings = self._format, []
        while words and words[0].partition("=")[0] in ("format", *self._numbers) and "=" in words[0]:
            key, _, value = words.pop(0).partition("=")
            if key == "format":
                form = value
            else:
                settings.append(f"{key}={value}")
        if form not in _FORMATS:
            raise SpecError(f"unknown format {form!r}", where=f"target {name!r}", fix=did_you_mean(form, _FORMATS))
        numbers = read_options(",".join(settings), self._numbers, name)
        if not words:
            raise SpecError(
                "the target names no program", where=f"target {name!r}", fix="write command:PROGRAM ARGUMENTS"
            )
        found = shutil.which(words[0])
        if found is None:
            raise SpecError(
                f"the program {words[0]!r} was not found",
                where=f"target {name!r}",
                why="it is not in a folder of PATH, or cannot be executed",
                fix="write the path of a file that is executable, such as command:./measure.sh",
            )
        return DeployedTarget(name, form, [found, *words[1:]], numbers["batch_size"], numbers["timeout"])
