"""Surgery on networks of many families: is the function preserved, do gradients, records, ONNX and costs agree?

Run with `uv run python benchmarks/surgery.py [--only PATTERN]`. Double precision, random weights and statistics,
batches of 4. Differences are relative to the largest output, over `eval` and `train` mode. Times are the smallest of
several. `--only` measures networks whose names match, and keeps the recorded results of all others. At the end, the
table of docs/surgery.md is printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from _record import RESULTS, record
from _surgery_networks import Case, cases
from torch import Tensor, nn

from nasplug.cost.counts import count_macs
from nasplug.export.onnx import write_onnx
from nasplug.surgery import Surgery, channels_of, repeat
from nasplug.surgery.state import tensors_in
from nasplug.workloads.extract import extract

SEED = 0
BATCH = 4
BOUND = 1e-5


def inputs_of(case: Case, dtype: str = "float64") -> Any:
    """Inputs with a type, as `Inputs.of` reads them."""
    if isinstance(case.inputs, dict):
        return {name: {"shape": list(shape), "dtype": dtype} for name, shape in case.inputs.items()}
    return {"shape": list(case.inputs), "dtype": dtype}


def built(case: Case, seed: int = SEED) -> nn.Module:
    """A network in double precision with random vectors (biases, scales, statistics) and without dropout."""
    torch.manual_seed(seed)
    network = case.build().double()
    for module in network.modules():
        for name in ("p", "drop_prob", "attn_drop_p", "dropout_rate", "drop_rate"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.is_floating_point() and tensor.ndim == 1:
            low = -0.5 if name.endswith(("bias", "running_mean")) else 0.5
            tensor.data = torch.rand_like(tensor) + low
    return network


class Calls:
    """Runs a network on fixed inputs."""

    def __init__(self, case: Case) -> None:
        generator = torch.Generator().manual_seed(SEED)

        def draw(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(BATCH, *shape, generator=generator, dtype=torch.float64)

        named = isinstance(case.inputs, dict)
        self.kwargs = {name: draw(shape) for name, shape in case.inputs.items()} if named else {}  # type: ignore[union-attr]
        self.args = () if named else (draw(case.inputs),)  # type: ignore[arg-type]

    def __call__(self, network: nn.Module) -> Tensor:
        """Returns all outputs in one vector."""
        return torch.cat([part.flatten() for part in tensors_in(network(*self.args, **self.kwargs))])

    def both(self, network: nn.Module) -> list[Tensor]:
        """Outputs in inference and in training mode; statistics stay."""
        found = []
        for training in (False, True):
            state = {name: value.clone() for name, value in network.state_dict().items()}
            with torch.no_grad():
                found.append(self(network.train(training)))
            network.load_state_dict(state)
        return found

    def gradients(self, network: nn.Module) -> dict[str, Tensor]:
        """Gradients of all weights for the mean of the squared outputs."""
        network.eval().zero_grad()
        self(network).square().mean().backward()
        return {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


def relative(one: Tensor, other: Tensor) -> float:
    """Largest difference in units of the largest value."""
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-300))


def preserved(surgery: Surgery, calls: Calls) -> dict[str, float]:
    """Differences after every edit that keeps the function, and of the gradients of what is kept."""
    network = surgery.network
    found: dict[str, float] = {}

    def compare(name: str, before: list[Tensor]) -> list[Tensor]:
        after = calls.both(network)
        found[name] = max(relative(one, other) for one, other in zip(before, after, strict=True))
        return after

    now = calls.both(network)
    halves = {each.name: [0, each.size - 1][: each.size] for each in surgery.channels if each.inexact_split is None}
    if halves:
        surgery.split(halves)
        now = compare("split", now)
    exact = [each.name for each in surgery.channels if each.inexact_removal is None]
    if exact:
        surgery.grow(dict.fromkeys(exact, 2))
        now = compare("growth", now)
    generator = torch.Generator().manual_seed(SEED)
    surgery.reorder({each.name: torch.randperm(each.size, generator=generator).tolist() for each in surgery.channels})
    now = compare("reorder", now)
    if exact:
        sizes = surgery.sizes
        silent = {name: [0, sizes[name] - 1] for name in exact}
        surgery.mask(silent)
        now = calls.both(network)
        calls.gradients(network)
        surgery.remove(silent)
        compare("removal", now)
        moved = {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}
        pairs = [(moved[name], value) for name, value in calls.gradients(network).items()]
        largest = max(float(one.abs().max()) for one, _ in pairs)
        found["gradients"] = max(float((one - other).abs().max()) for one, other in pairs) / largest
    return found


def smallest(do: Callable[[], object], repeats: int = 5, limit: float = 20.0) -> tuple[float, float]:
    """Smallest time and processor time in seconds of up to five runs, fewer if they take too long together."""
    times: list[tuple[float, float]] = []
    while len(times) < repeats and sum(wall for wall, _ in times) < limit:
        start, processor = time.perf_counter(), time.process_time()
        do()
        times.append((time.perf_counter() - start, time.process_time() - processor))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


def timed(case: Case) -> dict[str, float]:
    """Times of the analysis, of an edit of one group, and of one edit of all groups."""
    network, inputs = case.build(), inputs_of(case, "float32")
    found: dict[str, float] = {}
    found["analysis"], found["analysis_cpu"] = smallest(lambda: channels_of(network, inputs), 3)
    surgery = Surgery(network, inputs)
    sizes = list(surgery.sizes)
    one = dict.fromkeys((sizes[0], *surgery.channels[sizes[0]].partners), (0,))
    found["edit"], found["edit_cpu"] = smallest(lambda: surgery.split(one, inexact=True))
    every = dict.fromkeys(sizes, (0,))
    found["edit_all"], found["edit_all_cpu"] = smallest(lambda: surgery.split(every, inexact=True))
    return found


def resized(case: Case, build: Callable[[], nn.Module]) -> dict[str, Any]:
    """Edits a network to the sizes of one that was built at another size, and compares costs and shapes."""
    inputs = inputs_of(case, "float32")
    network, target = case.build(), build()
    wanted = channels_of(target, inputs).sizes
    surgery = Surgery(network, inputs)
    more = {name: wanted[name] - size for name, size in surgery.sizes.items() if wanted.get(name, 0) > size}
    less = {name: range(wanted[name], size) for name, size in surgery.sizes.items() if wanted.get(name, size) < size}
    if more:
        surgery.grow(more, inexact=True)
    if less:
        surgery.remove(less, inexact=True)

    def costs(network: nn.Module) -> dict[str, Any]:
        rows = extract(network, inputs)
        return {
            "params": sum(value.numel() for value in network.parameters()),
            "macs": count_macs(network, inputs),
            "workload": int(rows.macs.sum()),
            "stored": int(rows.stored_weights.sum()),
            "shapes": {name: list(value.shape) for name, value in network.state_dict().items()},
        }

    mine, theirs = costs(network), costs(target)
    shapes = mine.pop("shapes"), theirs.pop("shapes")
    return {"groups": len(more) + len(less), "equal": mine == theirs and shapes[0] == shapes[1], **theirs}


def classified(reasons: Mapping[str, str]) -> dict[str, int]:
    """Number of groups by reason, without the names of places."""
    kinds = Counter(reason.split(" in ")[0].split(": ")[0][:100] for reason in reasons.values())
    return dict(kinds.most_common())


def measured(name: str, case: Case, folder: Path) -> dict[str, Any]:
    """All that is recorded about a network but the fresh process."""
    found: dict[str, Any] = {"inputs": case.inputs}
    network = built(case)
    surgery = Surgery(network, inputs_of(case))
    channels = surgery.channels
    found["groups"] = len(channels)
    found["channels"] = sum(channels.sizes.values())
    found["inexact_removal"] = classified({each.name: each.inexact_removal or "" for each in channels})
    found["inexact_split"] = classified({each.name: each.inexact_split or "" for each in channels})
    for kind in ("inexact_removal", "inexact_split"):
        found[kind].pop("", None)
    found["refused"] = classified(channels.refused)
    found["largest_difference"] = preserved(surgery, Calls(case))
    torch.save(network.state_dict(), folder / f"{name}.pt")
    with torch.no_grad():
        torch.save(Calls(case)(network.eval()), folder / f"{name}.out.pt")
    (folder / f"{name}.json").write_text(json.dumps(surgery.records))
    found["seconds"] = timed(case)
    if case.resized is not None:
        found["built_at_size"] = resized(case, case.resized)
    if case.onnx:
        found["onnx"] = write_onnx(network.float(), inputs_of(case, "float32"), folder / "network.onnx")
    return found


def fresh(folder: Path) -> None:
    """Repeats records on networks built anew, loads their weights and prints whether they compute the same."""
    known = cases()
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        try:
            network = built(known[name], seed=1)
            repeat(network, json.loads(path.read_text()))
            network.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
            with torch.no_grad():
                result = relative(
                    torch.load(folder / f"{name}.out.pt", weights_only=True), Calls(known[name])(network.eval())
                )
        except Exception as error:
            result = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        print(json.dumps([name, result]), flush=True)


def write(results: dict[str, Any]) -> None:
    """Records results and how many of them are as they should be."""
    whole = {name: each for name, each in results.items() if "error" not in each}
    for each in whole.values():
        largest = max(each["largest_difference"].values(), default=0.0)
        each["exponent"] = math.ceil(math.log10(largest)) if largest > 0 else -16
        each["milliseconds"] = round(1000 * each["seconds"]["edit_cpu"])
        each["refused_groups"] = sum(each["refused"].values())
        each["inexact_groups"] = max(sum(each[kind].values()) for kind in ("inexact_removal", "inexact_split"))
    worst = [max(each["largest_difference"].values(), default=0.0) for each in whole.values()]
    fresh = [each.get("fresh_process") for each in whole.values()]
    sized = [each["built_at_size"]["equal"] for each in whole.values() if "built_at_size" in each]
    onnx = [each["onnx"] for each in whole.values() if "onnx" in each]
    summary = {
        "networks": len(results),
        "failed": len(results) - len(whole),
        "groups": sum(each["groups"] for each in whole.values()),
        "bound": BOUND,
        "preserved": sum(difference <= BOUND for difference in worst),
        "largest_difference": max(worst, default=None),
        "fresh_process": sum(isinstance(each, float) and each <= BOUND for each in fresh),
        "built_at_size": {"networks": len(sized), "equal": sum(sized)},
        "onnx": {"networks": len(onnx), "largest_difference": max(onnx, default=None)},
    }
    packages = ("timm", "torchvision", "monai", "onnxruntime")
    record("surgery", {"seeds": [SEED], "batch": BATCH} | summary | {"results": results}, packages=packages)


def table() -> str:
    """The table of docs/surgery.md."""
    results = json.loads((RESULTS / "surgery.json").read_text())["results"]
    lines = ["| network | groups | inexact | refused | difference | edit, ms |", "|---|---|---|---|---|---|"]
    for name, each in results.items():
        if "error" in each:
            lines.append(f"| {name} | | | | {each['error']} | |")
            continue
        way = f"surgery:results.{name}"
        numbers = [f"{each[key]}<!-- {way}.{key} -->" for key in ("groups", "inexact_groups", "refused_groups")]
        time = f"{each['milliseconds']}<!-- {way}.milliseconds -->"
        lines.append(f"| {name} | {' | '.join(numbers)} | 10^{each['exponent']}<!-- {way}.exponent --> | {time} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measures and records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="regular expression for the names of networks to measure")
    parser.add_argument("--fresh", type=Path, help="folder of records, for the fresh process")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if arguments.fresh:
        fresh(arguments.fresh)
        return
    path = RESULTS / "surgery.json"
    results: dict[str, Any] = json.loads(path.read_text())["results"] if arguments.only and path.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases().items():
            if not re.search(arguments.only, name):
                continue
            start = time.perf_counter()
            try:
                results[name] = measured(name, case, Path(folder))
            except Exception as error:
                results[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:500]}
            print(f"{name} ({time.perf_counter() - start:.0f} s)", results[name], flush=True)
        command = [sys.executable, __file__, "--fresh", folder]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in answer.splitlines():
            name, value = json.loads(line)
            results[name]["fresh_process"] = value
    write(results)
    print(table())


if __name__ == "__main__":
    main()
