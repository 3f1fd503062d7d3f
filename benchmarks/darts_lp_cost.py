"""What a step of the supernet costs beside a step of the plain network, in time and memory.

The plain network has no quantisers and no choices: the same convolutions, normalisations, shortcuts and activation
functions in floating point. Beside it stand the network with one pair of bit widths, and the supernets over 4 x 4 pairs
that share their convolutions or do not. A step is forward, backward and the optimiser's update; the supernet's is a
joint one, which trains weights and logits with one backward pass. A step of the weights alone, as in a bilevel search,
needs no gradient of the logits, and is listed too.

All are timed in turns, so that whatever else the machine does meets all alike; the ratio is the median over the turns.
The time that the process had of a processor is listed beside the time that passed: on one thread of a quiet machine
they are equal.
Memory is the largest sum of live tensors beyond those that were there before the step, counted by torch's profiler.

Run: python benchmarks/darts_lp_cost.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _record import record
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import SupernetSettings
from torch import nn
from torch.nn.functional import cross_entropy

from nasplug.testing import Shapes

BITS = (1, 2, 4, 8)


def space(bits: tuple[int, ...], arguments: argparse.Namespace) -> LayersSpace:
    """Residual networks of one kernel size; `bits` to choose from."""
    return LayersSpace(
        width=arguments.width,
        blocks=arguments.blocks,
        operations=("conv",),
        kernels=(3,),
        weight_bits=bits,
        activation_bits=bits,
        first_last_bits=None,
    )


def subjects(arguments: argparse.Namespace) -> dict[str, nn.Module]:
    """The networks that take part."""
    task = Shapes((3, arguments.size, arguments.size), 10)

    def plain(bits: tuple[int, ...]) -> nn.Module:
        chosen = space(bits, arguments)
        network: nn.Module = chosen.build(chosen.from_vector([0] * len(chosen.choices)), task)
        return network

    def supernet(kind: Any, shared: bool) -> nn.Module:
        options = SupernetOptions(Mixing(kind), SupernetSettings(shared=shared))
        return space(BITS, arguments).supernet(task.input_shape, task.outputs, options)

    return {
        "plain": plain(()),
        "one_pair": plain((4,)),
        "shared": supernet("gumbel", True),
        "shared_hard": supernet("gumbel_hard", True),
        "shared_weights_only": _without_logits(supernet("gumbel", True)),
        "unshared": supernet("gumbel", False),
    }


def _without_logits(supernet: nn.Module) -> nn.Module:
    for logits in supernet.logits.parameters():  # type: ignore[union-attr]
        logits.requires_grad_(False)
    return supernet


def stepper(network: nn.Module, arguments: argparse.Namespace) -> Callable[[], None]:
    """One training step on a fixed batch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=generator)
    labels = torch.randint(10, (arguments.batch,), generator=generator)
    images, labels = images.to(arguments.device), labels.to(arguments.device)
    network.to(arguments.device).train()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), labels).backward()
        optimizer.step()
        if arguments.device != "cpu":
            torch.cuda.synchronize()

    return step


def peak(step: Callable[[], None], device: str) -> int:
    """Bytes that a step holds at most, beyond what was there before."""
    if device != "cpu":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--name", default="darts_lp_cost")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    networks = {name: network for name, network in subjects(arguments).items() if name not in arguments.without}
    steps = {name: stepper(network, arguments) for name, network in networks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.turns + 1):
        for name, step in steps.items():
            start, begin = time.perf_counter(), time.process_time()
            step()
            if turn:  # the first turn sets quantisers up
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - begin)
    memory = {name: peak(step, arguments.device) for name, step in steps.items()}
    ratios, processor_ratios = (
        {
            name: statistics.median(a / b for a, b in zip(own, times["plain"], strict=True))
            for name, own in times.items()
        }
        for times in (seconds, processor)
    )
    result = {
        "settings": vars(arguments) | {"bits": BITS},
        "seeds": [0],
        "parameters": {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()},
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "time_ratio": ratios,
        "processor_time_ratio": processor_ratios,
        "time_ratio_to_one_pair": {
            name: statistics.median(a / b for a, b in zip(times, seconds["one_pair"], strict=True))
            for name, times in seconds.items()
        },
        "all_seconds": seconds,
        "peak_bytes": memory,
        "memory_ratio": {name: held / memory["plain"] for name, held in memory.items()},
        "memory_ratio_to_one_pair": {name: held / memory["one_pair"] for name, held in memory.items()},
    }
    for name in networks:
        print(
            f"{name:20} {1000 * result['seconds'][name]:8.1f} ms  x{ratios[name]:.2f}  "
            f"(of the processor's time x{processor_ratios[name]:.2f})  "
            f"{memory[name] / 1e6:8.1f} MB  x{result['memory_ratio'][name]:.2f}"
        )
    if not arguments.dry:
        record(arguments.name, result)


if __name__ == "__main__":
    main()
