"""Half of all channels removed by surgery and by torch-pruning, each as its documentation says, on the same networks.

Run with `uv run --with torch-pruning python benchmarks/surgery_peer.py`. The smaller half of the channels of each group
goes, by the sum of absolute weights; the layers that make outputs stay. For each network it is recorded whether it runs
afterwards, and with how many of its parameters. Neither is told numbers of heads or groups.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from _record import record
from _surgery_networks import Case, cases
from torch import nn

from nasplug.surgery import Surgery, channels_of, scores

SEED = 0

NETWORKS = (
    *("cifar resnet20 option A", "cifar vgg16", "timm resnet18", "timm resnet50", "timm mobilenetv3_small_100"),
    *("timm densenet121", "timm efficientnet_b0", "timm convnext_atto", "timm vit_tiny", "timm swin_tiny"),
    *("timm skresnet18", "timm regnety_002", "torchvision shufflenet", "monai UNet 2-D", "monai SegResNet 3-D"),
    *("monai DynUNet 3-D", "user's Separate", "user's GroupedQueries", "user's Gated", "user's Einsums"),
)


def by_surgery(network: nn.Module, example: torch.Tensor, fixed: set[str]) -> None:
    """Removes channels with surgery; two of each group stay at least."""
    surgery = Surgery(network, tuple(example.shape[1:]))
    wanted = {}
    for name, values in scores(network, surgery.channels).items():
        gone = min(len(values) // 2, len(values) - 2)
        if gone > 0:
            wanted[name] = values.argsort()[:gone].tolist()
    surgery.remove(wanted, inexact=True)


def by_torch_pruning(network: nn.Module, example: torch.Tensor, fixed: set[str]) -> None:
    """Removes channels with torch-pruning."""
    import torch_pruning

    modules = dict(network.named_modules())
    pruner = torch_pruning.pruner.BasePruner(
        network,
        example,
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=[modules[name] for name in fixed if name in modules],
    )
    pruner.step()


def tried(case: Case, remove: Callable[[nn.Module, torch.Tensor, set[str]], None]) -> dict[str, Any]:
    """Builds a network, removes channels and runs it."""
    torch.manual_seed(SEED)
    network = case.build().float().eval()
    assert isinstance(case.inputs, tuple)
    example = torch.randn(2, *case.inputs)
    refused = channels_of(network, case.inputs).refused
    fixed = {name for name, why in refused.items() if "output of the network" in why}
    with torch.no_grad():
        before = network(example)
    size = sum(value.numel() for value in network.parameters())
    start = time.perf_counter()
    try:
        remove(network, example, fixed)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            after = network(example)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    same = torch.is_tensor(after) and torch.is_tensor(before) and after.shape == before.shape
    share = sum(value.numel() for value in network.parameters()) / size
    return {"seconds": seconds, "parameters": share} | ({} if same else {"error": "the shape of the outputs changed"})


def main() -> None:
    """Measures and records."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    known = cases()
    results = {}
    for name in NETWORKS:
        results[name] = {
            "surgery": tried(known[name], by_surgery),
            "torch-pruning": tried(known[name], by_torch_pruning),
        }
        print(name, results[name], flush=True)
    runs = {kind: sum("error" not in each[kind] for each in results.values()) for kind in ("surgery", "torch-pruning")}
    found = {"seeds": [SEED], "networks": len(results), "runs": runs, "results": results}
    record("surgery_peer", found, packages=("torch-pruning", "timm", "torchvision", "monai"))


if __name__ == "__main__":
    main()
