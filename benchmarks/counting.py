"""Multiply-accumulates of known networks by every way in, beside torch's own counter, and their stored weights.

Run with `uv run python benchmarks/counting.py [--networks N]`. Random weights, small inputs where a network takes them.
timm is required; networks of MONAI are added where it is installed. A way that refuses a network says why.
ONNX files are read twice: as nasplug writes them, and from the older exporter, which computes shapes inside the graph.
The first exporter evaluates products of constants ahead, so that networks that multiply a positional encoding at every
run (EdgeNeXt, XCiT) do less in their files, and their reading says so.
Stored weights are those of a workload beside the elements of the different weight tensors of convolutions and linear
layers; networks that multiply by tensors of their own (a class attention, a position bias) store more.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from _record import record
from nasplug_npu.formats.scalesim import from_scalesim, to_scalesim_products
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.cost.counts import count_macs, plain_operators
from nasplug.export.onnx import exported as exported_onnx
from nasplug.workloads.extract import extract
from nasplug.workloads.onnx import read_onnx

SEED = 0
#: One of each family that timm has, small ones, with inputs of 64 pixels or, if they fix it, their own.
TIMM = (
    *("resnet10t", "resnet18", "resnet26", "seresnet18", "resnext26ts", "skresnet18", "ecaresnet26t"),
    *("resnest14d", "mobilenetv2_050", "mobilenetv2_100", "mobilenetv3_small_050"),
    *("mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv4_conv_small", "mnasnet_050"),
    *("mnasnet_100", "semnasnet_075", "fbnetc_100", "fbnetv3_b", "spnasnet_100", "efficientnet_b0"),
    *("efficientnet_lite0", "efficientnet_es", "tf_efficientnetv2_b0", "efficientvit_b0"),
    *("efficientvit_m0", "ghostnet_050", "ghostnetv2_100", "lcnet_050", "lcnet_100", "tinynet_e"),
    *("tinynet_d", "hardcorenas_a", "rexnet_100", "regnetx_002", "regnety_002", "regnetz_b16"),
    *("densenet121", "dla46_c", "vgg11", "vovnet39a", "selecsls42b", "hgnetv2_b0", "repvgg_a0"),
    *("convnext_atto", "convnextv2_atto", "edgenext_xx_small", "mobilevit_xxs", "mobilevitv2_050"),
    *("fastvit_t8", "repghostnet_050", "starnet_s1", "vit_tiny_patch16_224", "deit_tiny_patch16_224"),
    *("mixer_s32_224", "poolformer_s12", "gmlp_ti16_224", "resmlp_12_224", "xcit_nano_12_p16_224"),
    "levit_128s",
)


def monai() -> list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]]:
    """Twelve networks of MONAI, or none where it is not installed."""
    if find_spec("monai") is None:
        return []
    from monai.networks import nets

    flat, deep = (1, 32, 32), (1, 32, 32, 32)
    unet = {"in_channels": 1, "out_channels": 2, "channels": (4, 8, 16), "strides": (2, 2)}
    plain = {"in_channels": 1, "out_channels": 2}
    return [
        ("UNet 2-D", lambda: nets.UNet(spatial_dims=2, **unet), flat),
        ("UNet 3-D", lambda: nets.UNet(spatial_dims=3, **unet), deep),
        ("AttentionUnet", lambda: nets.AttentionUnet(spatial_dims=3, **unet), deep),
        ("BasicUNet", lambda: nets.BasicUNet(spatial_dims=3, features=(4, 4, 8, 8, 16, 4), **plain), deep),
        ("BasicUNet 2-D", lambda: nets.BasicUNet(spatial_dims=2, **plain), flat),
        ("SegResNet", lambda: nets.SegResNet(spatial_dims=3, init_filters=8, **plain), deep),
        ("SegResNet 2-D", lambda: nets.SegResNet(spatial_dims=2, init_filters=8, **plain), flat),
        ("VNet", lambda: nets.VNet(spatial_dims=3, **plain), deep),
        ("HighResNet", lambda: nets.HighResNet(spatial_dims=3, **plain), deep),
        ("UNETR", lambda: nets.UNETR(img_size=32, hidden_size=96, mlp_dim=192, num_heads=4, **plain), deep),
        ("SwinUNETR", lambda: nets.SwinUNETR(feature_size=12, **plain), (1, 64, 64, 64)),
        ("DenseNet121", lambda: nets.DenseNet121(spatial_dims=3, **plain), deep),
        ("DynUNet", lambda: nets.DynUNet(3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2]), deep),
    ]


def from_timm(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A network with random weights, and the smallest input of 64 pixels or its own size that it takes."""
    import timm

    network = timm.create_model(name, exportable=True).eval()
    own = tuple(network.pretrained_cfg["input_size"])
    small = (own[0], 64, 64)
    try:
        with torch.no_grad():
            network(torch.zeros(1, *small))
    except Exception:  # sizes that a network refuses come with any error
        return network, own
    return network, small


def counted(network: nn.Module, shape: tuple[int, ...], folder: Path) -> dict[str, Any]:
    """Multiply-accumulates by way; a way that refuses the network has its reason."""
    inputs = (torch.zeros(1, *shape),)

    def torch_counter() -> int:
        with torch.no_grad(), plain_operators(), FlopCounterMode(display=False) as counter:
            network(*inputs)
        return int(counter.get_total_flops()) // 2

    def exported() -> int:
        return int(extract(torch.export.export(network, inputs).module(), shape).macs.sum())

    def through_onnx() -> int:
        return int(read_onnx(exported_onnx(network, torch.zeros(2, *shape), folder / "net.onnx")).macs.sum())

    def older_onnx() -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(network, inputs, str(folder / "old.onnx"), dynamo=False, opset_version=18)
        return int(read_onnx(folder / "old.onnx").macs.sum())

    def layers() -> int:
        kinds = (nn.modules.conv._ConvNd, nn.Linear)
        held = {id(each.weight): each.weight.numel() for each in network.modules() if isinstance(each, kinds)}
        return sum(held.values())

    ways: dict[str, Callable[[], int]] = {
        "torch": torch_counter,
        "count": lambda: count_macs(network, shape),
        "module": lambda: int(extract(network, shape).macs.sum()),
        "export": exported,
        "onnx": through_onnx,
        "older onnx": older_onnx,
        "csv": lambda: int(from_scalesim(to_scalesim_products(extract(network, shape))).macs.sum()),
        "layers": layers,
        "stored": lambda: int(extract(network, shape).stored_weights.sum()),
        "stored onnx": lambda: int(read_onnx(folder / "net.onnx").stored_weights.sum()),
    }
    found: dict[str, Any] = {"input": list(shape)}
    for way, measure in ways.items():
        try:
            found[way] = measure()
        except Exception as error:  # recorded, and counted as not equal
            found[way] = f"{type(error).__name__}: {error}".replace(f"{folder}/", "").splitlines()[0][:200]
    return found


def main(argv: list[str] | None = None) -> None:
    """Counts and records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=60, help="number of networks of timm")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    results: dict[str, dict[str, Any]] = {}
    made: list[tuple[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]] = [
        (f"timm {name}", partial(from_timm, name)) for name in TIMM[: arguments.networks]
    ]
    made += [(f"monai {name}", partial(_with_shape, make, shape)) for name, make, shape in monai()]
    with tempfile.TemporaryDirectory() as folder:
        for name, make in made:
            torch.manual_seed(SEED)
            results[name] = counted(*make(), Path(folder))
            print(name, results[name], flush=True)
            write(results)  # a run that is interrupted leaves what it has


def _with_shape(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[nn.Module, tuple[int, ...]]:
    return make().eval(), shape


def write(results: dict[str, dict[str, Any]]) -> None:
    """Records how many networks every way counts as torch does, and how many it refuses."""
    ways = ("count", "module", "export", "onnx", "older onnx", "csv")
    equal = {way: sum(found[way] == found["torch"] for found in results.values()) for way in ways}
    refused = {way: sum(isinstance(found[way], str) for found in results.values()) for way in ways}
    stored = {
        way: sum(found[way] == found["layers"] for found in results.values()) for way in ("stored", "stored onnx")
    }
    summary = {"seeds": [SEED], "networks": len(results), "equal": equal, "refused": refused, "stored_equal": stored}
    packages = ("timm", "onnx", *(("monai",) if find_spec("monai") else ()))
    record("counting", summary | {"results": results}, packages=packages)


if __name__ == "__main__":
    main()
