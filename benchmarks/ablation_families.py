"""Which modules of well-known networks can be taken away, how, and why not: twelve families of timm, three of MONAI.

Nothing is trained. Every module of every network is planned alone, as `nasplug ablate --plan` does it, on a batch of
random numbers: it gets a policy, with layers that must follow made anew and the change in parameters and
multiply-accumulates, or a reason why it cannot leave.

    python benchmarks/ablation_families.py [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from _record import RESULTS, record
from nasplug_ablation.bench import Workbench
from nasplug_ablation.components import Component
from nasplug_ablation.network.policies import NoPolicy
from nasplug_ablation.task import AblationTask
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

#: Size of the images, and what makes a deep family shallow: every kind of its modules stays.
TIMM: dict[str, tuple[int, dict[str, Any]]] = {
    "resnet18": (32, {}),
    "vgg11_bn": (32, {}),
    "densenet121": (32, {"block_config": (2, 2, 2, 2)}),
    "convnext_atto": (32, {"depths": (1, 1, 1, 1)}),
    "cait_xxs24_224": (64, {"img_size": 64, "depth": 2, "depth_token_only": 1}),
    "vit_tiny_patch16_224": (64, {"img_size": 64, "depth": 2}),
    "swin_tiny_patch4_window7_224": (56, {"img_size": 56, "depths": (2, 2, 1, 1)}),
    "mixer_s32_224": (64, {"img_size": 64}),
    "lcnet_035": (32, {}),
    "test_efficientnet": (32, {}),
    "test_nfnet": (32, {}),
    "test_byobnet": (32, {}),
}
MONAI = ("UNet", "SegResNet", "SwinUNETR")
#: Examples of modules for each policy and reason.
EXAMPLES = 3


class Lit(pl.LightningModule):
    """Any network that classifies images, or every pixel."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.net = make()

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """Returns the loss of a batch."""
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns SGD, which nobody runs."""
        return torch.optim.SGD(self.parameters(), 0.01)


def _timm(name: str, options: dict[str, Any]) -> Any:
    import timm

    return partial(timm.create_model, name, num_classes=10, **options)


def _monai(name: str) -> Any:
    from monai.networks import nets

    makes = {
        "UNet": partial(nets.UNet, 2, 2, 3, channels=(8, 16, 32), strides=(2, 2), num_res_units=2),
        "SegResNet": partial(
            nets.SegResNet, 2, init_filters=8, in_channels=2, out_channels=3, blocks_down=(1, 2, 2), blocks_up=(1, 1)
        ),
        "SwinUNETR": partial(nets.SwinUNETR, 2, 3, spatial_dims=2, feature_size=12, depths=(1, 1, 1, 1)),
    }
    return makes[name]


def cases() -> dict[str, tuple[Any, torch.Tensor, torch.Tensor]]:
    """Returns a maker, inputs and targets by name."""
    torch.manual_seed(0)
    made = {
        f"timm {name}": (_timm(name, options), torch.randn(2, 3, size, size), torch.tensor([0, 1]))
        for name, (size, options) in TIMM.items()
    }
    images, pixels = torch.randn(2, 2, 64, 64), torch.randint(0, 3, (2, 64, 64))
    return made | {f"monai {name}": (_monai(name), images, pixels) for name in MONAI}


def kind_of(reason: str) -> str:
    """Returns a reason without the names and numbers of one module."""
    short = re.sub(r" in [\w.]+(?=:)", "", reason)
    short = re.sub(r"[\w.]+ answers [\dx]+ in place of [\dx]+", "another output", short)
    return re.sub(r"\d+", "N", short)[:120]


def survey(make: Any, inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
    """Plans every module of a network alone."""
    loader = DataLoader(TensorDataset(inputs, targets), len(inputs))
    bench = Workbench(AblationTask(Lit, loader, module_args={"make": make}, objectives={"loss": "min"}))  # type: ignore[dict-item]
    started, policies, reasons, examples = time.perf_counter(), Counter[str](), Counter[str](), {}
    renewed = silent = 0
    for path in bench.paths:
        try:
            plan = bench.plan([Component("module", path, path)])
        except NoPolicy as error:
            kind = kind_of(str(error))
            reasons[kind] += 1
            silent += not str(error).strip()
        else:
            kind = plan.policies[path]
            policies[kind] += 1
            renewed += bool(plan.renewed)
        examples.setdefault(kind, [])
        if len(examples[kind]) < EXAMPLES:
            examples[kind].append(path)
    total = len(bench.paths)
    return {
        "modules": total,
        "with_policy": sum(policies.values()),
        "with_reason": sum(reasons.values()),
        "without_answer": total - sum(policies.values()) - sum(reasons.values()) + silent,
        "policies": dict(policies),
        "with_layers_made_anew": renewed,
        "reasons": dict(reasons.most_common()),
        "examples": examples,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Surveys all networks, or those that are named beside what is recorded, and records the answers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    wanted = parser.parse_args().names
    torch.set_num_threads(1)
    results = _recorded() if wanted else {}
    for name, (make, inputs, targets) in cases().items():
        if wanted and not any(word in name for word in wanted):
            continue
        found = results[name] = survey(make, inputs, targets)
        print(name, found["modules"], found["policies"], found["reasons"], f"{found['seconds']} s", flush=True)
        _record(results)  # what is done is kept


def _recorded() -> dict[str, Any]:
    path = RESULTS / "ablation_families.json"
    found: dict[str, Any] = json.loads(path.read_text())["results"] if path.is_file() else {}
    return found


def _record(results: dict[str, Any]) -> None:
    keys = ("modules", "with_policy", "with_reason", "without_answer", "with_layers_made_anew")
    sums = {key: sum(item[key] for item in results.values()) for key in keys}
    note = "no GPU; two cores shared with other work, so that seconds say little"
    record(
        "ablation_families",
        {"seeds": [0], "note": note, "networks": len(results), "sums": sums, "results": results},
        packages=("timm", "monai"),
    )


if __name__ == "__main__":
    main()
