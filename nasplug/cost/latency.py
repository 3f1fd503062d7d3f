"""How long a network takes on this machine, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nasplug.contract.errors import SpecError, TaskError
from nasplug.contract.io import Inputs, InputsLike


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of one inference of a whole batch.

    Attributes:
        median_s: Median over the repeats, in seconds.
        p10_s: 10th percentile.
        p90_s: 90th percentile; far above the median, the machine was busy with something else.
        batch_size: Inputs per inference.
        repeats: Number of timed inferences.
        device: Device that it ran on.
        threads: Threads of torch on the CPU; on a GPU it has no meaning.
    """

    median_s: float
    p10_s: float
    p90_s: float
    batch_size: int
    repeats: int
    device: str
    threads: int


def measure_latency(
    network: nn.Module,
    inputs: InputsLike,
    device: str = "cpu",
    batch_size: int = 1,
    warmup: int = 5,
    repeats: int = 50,
    threads: int = 1,
    max_seconds: float = 10.0,
) -> Latency:
    """Times inference.

    Each inference is timed on its own, on a GPU up to the end of its last kernel. Afterwards the network is in the mode
    and on the device it came in, and torch has its number of threads back.

    Args:
        network: Network, called as the inputs say.
        inputs: Input of the network, or the shape of one float input without the batch, (C, H, W) for images.
        device: "cpu", "cuda" or "cuda:N".
        batch_size: Inputs per inference.
        warmup: Inferences before the timing, at least 1.
        repeats: Inferences to time, at least 1.
        threads: Threads of torch on the CPU.
        max_seconds: Seconds after which no further inference starts, once three are timed.

    Raises:
        SpecError: The device is unknown or absent, or a number is too small.
        TaskError: The network cannot run on such an input.
    """
    for name, value in (("batch_size", batch_size), ("warmup", warmup), ("repeats", repeats), ("threads", threads)):
        if value < 1:
            raise SpecError(f"{name} is {value}, less than 1", where="measure_latency")
    known, torch_device = Inputs.of(inputs), _device(device)
    wait = _waiter(torch_device)
    with _prepared(network, torch_device, threads), torch.no_grad():
        args, kwargs = known.example(batch_size, device=str(torch_device))
        try:
            for _ in range(warmup):
                network(*args, **kwargs)
            wait()
        except Exception as error:  # a user's forward may raise anything
            raise TaskError(
                f"the network cannot run on {known} (batch size {batch_size})",
                where=f"measure_latency on {device}",
                why=f"{type(error).__name__}: {error}",
            ) from error
        seconds = _time(lambda: network(*args, **kwargs), wait, repeats, max_seconds)
    p10, median, p90 = np.percentile(seconds, (10, 50, 90)).tolist()
    return Latency(median, p10, p90, batch_size, len(seconds), str(torch_device), threads)


def _time(run: Callable[[], object], wait: Callable[[], None], repeats: int, max_seconds: float) -> list[float]:
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < repeats and (len(seconds) < 3 or time.perf_counter() - begin < max_seconds):
        start = time.perf_counter()
        run()
        wait()
        seconds.append(time.perf_counter() - start)
    return seconds


def _device(name: str) -> torch.device:
    try:
        torch_device = torch.device(name)
    except RuntimeError as error:
        raise SpecError(f"there is no device {name!r}", where="measure_latency", fix="write cpu or cuda") from error
    if torch_device.type not in ("cpu", "cuda"):
        raise SpecError(f"latency cannot be measured on {name!r}", where="measure_latency", fix="write cpu or cuda")
    if torch_device.type == "cuda" and (torch_device.index or 0) >= torch.cuda.device_count():
        raise SpecError(
            f"the device {name!r} is not available",
            where="measure_latency",
            why=f"torch sees {torch.cuda.device_count()} CUDA devices",
            fix="measure on cpu, or run where there is a GPU and a CUDA build of torch",
        )
    return torch_device


def _waiter(torch_device: torch.device) -> Callable[[], None]:
    """What to call so that all work given to the device is done."""
    if torch_device.type == "cuda":
        return lambda: torch.cuda.synchronize(torch_device)
    return lambda: None


@contextmanager
def _prepared(network: nn.Module, torch_device: torch.device, threads: int) -> Iterator[None]:
    """Puts a network into inference mode on a device, and everything back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    home = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    threads_before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        network.eval().to(torch_device)
        yield
    finally:
        network.to(home)
        for module, mode in modes:
            module.training = mode
        torch.set_num_threads(threads_before)
