"""What of twelve timm families and three MONAI networks can shrink, and why the rest cannot.

Every channel group has a choice of widths or a reason; the network with everything at its least is built and counted.

Run: OMP_NUM_THREADS=1 python benchmarks/reduction_families.py
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from _record import record
from _surgery_networks import cases
from nasplug_reduction import ReductionSpace

from nasplug.contract.errors import NasplugError
from nasplug.cost.counts import count_params

NAMES = (
    *("resnet18", "resnet50", "seresnet18", "mobilenetv2_050", "mobilenetv3_small_100", "efficientnet_b0"),
    *("convnext_atto", "regnetx_002", "densenet121", "vit_tiny", "swin_tiny", "vgg11_bn"),
)
MONAI = ("monai UNet 2-D", "monai BasicUNet 2-D", "monai SegResNet 3-D")
SEED = 0


def measured(build: Any, inputs: Any) -> dict[str, Any]:
    """Groups, blocks and reasons of one network, and the parameters of its smallest."""
    torch.manual_seed(SEED)
    network = build()
    try:
        space = ReductionSpace.from_model(network, inputs)
    except NasplugError as error:
        return {"refused": str(error)}
    found: dict[str, Any] = {
        "groups": len(space.groups),
        "blocks": len(space.blocks),
        "reasons": dict(Counter(why.split(" in ")[0][:100] for why in space.refused.values())),
        "params": count_params(network),
    }
    try:
        found["smallest"] = count_params(space.build(space.smallest))
        found["share"] = found["smallest"] / found["params"]
    except NasplugError as error:
        found["smallest_refused"] = str(error)
    return found


def main() -> None:
    """Measures and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    known = cases()
    results = {}
    for name in (*(f"timm {each}" for each in NAMES), *MONAI):
        case = known[name]
        results[name] = measured(case.build, case.inputs)
        print(name, results[name], flush=True)
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("reduction_families", {"seeds": [SEED], "results": results}, packages=("nasplug-reduction",), **folder)


if __name__ == "__main__":
    main()
