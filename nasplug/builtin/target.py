"""The cost `target` asks the run's hardware; the targets `cpu` and `cuda` measure on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import HardwareTarget
from nasplug.cost.candidate import Candidate


class TargetCost:
    """What the run's hardware target says; keys are `family/key`, such as `cpu/latency_s`."""

    @hookimpl
    def cost(self, candidate: Candidate, target: HardwareTarget | None) -> dict[str, float]:
        """See the hook.

        Raises:
            SpecError: The run has no target.
        """
        if target is None:
            raise SpecError("there is no hardware target to ask", where="costs: target", fix="add `target: NAME`")
        family = target.name.split(":")[0]
        return {f"{family}/{key}": value for key, value in target.estimate(candidate).items()}


class MeasuredTarget:
    """The latency of real inferences on a device of this machine, in seconds per batch.

    Args:
        name: Full name of the target.
        device: `cpu`, `cuda` or `cuda:N`.
        batch_size: Inputs per inference.
        repeats: Inferences to time; the median counts.
        warmup: Inferences before the timing.
        threads: Threads of torch on the CPU.
    """

    def __init__(
        self, name: str, device: str, batch_size: int = 1, repeats: int = 50, warmup: int = 5, threads: int = 1
    ) -> None:
        self.name, self.device = name, device
        self.options = {"batch_size": batch_size, "repeats": repeats, "warmup": warmup, "threads": threads}
        self.capabilities: JsonObject = {"measured": True, "device": device, **self.options}

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """Median and 90th percentile of the latency: `latency_s`, `latency_p90_s`.

        Raises:
            TaskError: The network cannot run on such an input.
        """
        from nasplug.cost.latency import measure_latency

        found = measure_latency(candidate.network, candidate.known_inputs, self.device, **self.options)
        return {"latency_s": found.median_s, "latency_p90_s": found.p90_s}


class Cpu:
    """Measured latency on this machine's CPU.

    The name may carry options: `cpu:batch_size=8,threads=2`.

    Args:
        batch_size: Inputs per inference.
        repeats: Inferences to time.
        warmup: Inferences before the timing.
        threads: Threads of torch.
    """

    family = "cpu"
    variants = ("cpu", "cpu:batch_size=8", "cpu:repeats=200", "cpu:threads=2")

    def __init__(self, batch_size: int = 1, repeats: int = 50, warmup: int = 5, threads: int = 1) -> None:
        self._options = {"batch_size": batch_size, "repeats": repeats, "warmup": warmup, "threads": threads}

    @hookimpl
    def hardware_target(self, name: str) -> MeasuredTarget | None:
        """See the hook.

        Raises:
            SpecError: An unknown option, or a value that is not a positive integer.
        """
        family, _, variant = name.partition(":")
        if family != self.family:
            return None
        options = read_options(variant, {**self._options, **self._more()}, name)
        return self._make(name, options)

    def _more(self) -> dict[str, int]:
        return {}

    def _make(self, name: str, options: dict[str, int]) -> MeasuredTarget:
        return MeasuredTarget(name, "cpu", **options)


class Cuda(Cpu):
    """Measured latency on a CUDA device.

    The name may carry options: `cuda:index=1,batch_size=8`.

    Args:
        batch_size: Inputs per inference.
        repeats: Inferences to time.
        warmup: Inferences before the timing.
        index: Index of the GPU.
    """

    family = "cuda"
    variants = ("cuda", "cuda:index=1", "cuda:batch_size=8", "cuda:repeats=200")

    def __init__(self, batch_size: int = 1, repeats: int = 50, warmup: int = 10, index: int = 0) -> None:
        super().__init__(batch_size, repeats, warmup)
        self._index = index

    def _more(self) -> dict[str, int]:
        return {"index": self._index}

    def _make(self, name: str, options: dict[str, int]) -> MeasuredTarget:
        import torch

        index, found = options.pop("index"), torch.cuda.device_count()
        if index >= found:
            raise SpecError(
                f"the target {name!r} is not on this machine",
                where="target",
                why=f"torch sees {found} CUDA devices",
                fix="use the target cpu, or run where there is a GPU and a CUDA build of torch",
            )
        return MeasuredTarget(name, f"cuda:{index}", **options)


def read_options(text: str, defaults: Mapping[str, int], name: str) -> dict[str, int]:
    """Reads options in the name of a target.

    Args:
        text: Options as `key=value`, with commas between them.
        defaults: Values of those that are not there; no others exist.
        name: Full name of the target, for messages.

    Raises:
        SpecError: An unknown option, or a value that is not a positive integer.
    """
    options = dict(defaults)
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in defaults:
            raise SpecError(
                f"the target {name!r} has no option {key!r}", where="target", fix=did_you_mean(key, defaults)
            )
        if not value.isdecimal() or (int(value) == 0 and key != "index"):
            raise SpecError(f"{key} must be a positive integer, got {value!r}", where=f"target {name!r}")
        options[key] = int(value)
    return options
