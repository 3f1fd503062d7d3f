"""Networks that surgery is measured on: families of timm, torchvision and MONAI, CIFAR networks, a user's module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Build = Callable[[], nn.Module]


@dataclass(frozen=True)
class Case:
    """One network.

    Attributes:
        build: Function that builds it.
        inputs: Inputs as `nasplug.contract.io.Inputs.of` reads them, without types.
        resized: Function that builds the same family at another size, where there is one.
        onnx: Whether its edited form is written as ONNX.
    """

    build: Build
    inputs: dict[str, tuple[int, ...]] | tuple[int, ...]
    resized: Build | None = None
    onnx: bool = False


class Pad(nn.Module):
    """A function as a module, as in the usual code of CIFAR ResNets."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Block(nn.Module):
    """Residual block with a zero-padded shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        quarter = outputs // 4
        pad = Pad(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter), "constant", 0))
        self.shortcut = nn.Sequential() if stride == 1 else pad

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet-20 or -56 of CIFAR (He et al. 2016) with shortcuts of option A."""

    def __init__(self, blocks: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for stage in range(3):
            for index in range(blocks):
                outputs = width << stage
                stages.append(Block(inputs, outputs, 2 if stage and not index else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.avg_pool2d(out, out.size()[3]).view(out.size(0), -1))


def cifar_vgg(width: int = 16) -> nn.Module:
    """VGG-16 of CIFAR with batch normalisation and one linear layer."""
    layers: list[nn.Module] = []
    inputs = 3
    for factor in (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0):
        if not factor:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, width * factor, 3, padding=1), nn.BatchNorm2d(width * factor), nn.ReLU(True)]
        inputs = width * factor
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, 10))


class TwoStreams(nn.Module):
    """A user's module: an image and a table by keyword, fused by a gate; classes, values and a map as a dictionary."""

    def __init__(self, width: int = 16, hidden: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.SiLU())
        self.depthwise = nn.Conv2d(width, width, 5, 1, 2, groups=width)
        self.point = nn.Conv2d(width, 2 * width, 1)
        self.table = nn.Sequential(nn.Linear(7, hidden), nn.ELU(), nn.Linear(hidden, 2 * width))
        self.mask = nn.Conv2d(2 * width, 1, 1)
        self.classes = nn.Linear(2 * width, 5)
        self.values = nn.Sequential(nn.Linear(2 * width, hidden), nn.Tanh(), nn.Linear(hidden, 2))

    def forward(self, *, image: Tensor, table: Tensor) -> dict[str, Tensor]:
        maps = self.point(self.depthwise(self.stem(image)))
        maps = maps * torch.sigmoid(self.table(table))[:, :, None, None]
        pooled = maps.mean((2, 3))
        return {"classes": self.classes(pooled), "values": self.values(pooled), "mask": self.mask(maps)}


def from_timm(name: str, **settings: Any) -> nn.Module:
    """A network of timm with random weights."""
    import timm

    network: nn.Module = timm.create_model(name, **settings)
    return network


def from_torchvision(name: str, **settings: Any) -> nn.Module:
    """A network of torchvision with random weights."""
    import torchvision

    network: nn.Module = getattr(torchvision.models, name)(weights=None, **settings)
    return network


def from_monai(name: str, *given: Any, **settings: Any) -> nn.Module:
    """A network of MONAI with random weights."""
    from monai.networks import nets

    network: nn.Module = getattr(nets, name)(*given, **settings)
    return network


def _timm() -> dict[str, Case]:
    image = (3, 64, 64)
    vit = partial(from_timm, "vit_tiny_patch16_224", img_size=64, depth=4)
    swin = partial(from_timm, "swin_tiny_patch4_window7_224", img_size=64, depths=(2, 2, 2), window_size=4)
    small_swin = {"embed_dim": 24, "num_heads": (2, 4, 8)}
    plain = {
        **dict.fromkeys(("resnet18", "seresnet18", "resnet50", "resnext50_32x4d", "densenet121", "repvgg_a0"), image),
        **dict.fromkeys(("mobilenetv3_small_100", "mobilenetv2_050", "efficientnet_b0", "ghostnet_050"), image),
        **dict.fromkeys(("convnext_atto", "convnextv2_atto", "regnetx_002", "regnety_002", "vgg11_bn"), image),
        **dict.fromkeys(("mobilevit_xxs", "res2net50_14w_8s", "resnest14d", "mixnet_s", "hrnet_w18_small"), image),
        **dict.fromkeys(("cspresnet50", "nf_resnet26", "dla34", "vovnet39a", "skresnet18", "efficientvit_b0"), image),
        "inception_v3": (3, 96, 96),
    }
    cases = {name: Case(partial(from_timm, name), shape) for name, shape in plain.items()}
    sizes = {
        "resnext50_32x4d": partial(from_timm, "resnext50_32x4d", cardinality=24),
        "regnetx_002": partial(from_timm, "regnetx_002", bottle_ratio=2.0),
        "densenet121": partial(from_timm, "densenet121", bn_size=3),
    }
    for name in ("resnet18", "resnet50", "mobilenetv3_small_100", "densenet121", "convnext_atto"):
        cases[name] = Case(cases[name].build, image, onnx=True)
    for name, resized in sizes.items():
        cases[name] = Case(cases[name].build, image, resized, onnx=cases[name].onnx)
    cases["vit_tiny"] = Case(vit, image, partial(vit, mlp_ratio=5), onnx=True)
    cases["swin_tiny"] = Case(partial(swin, **small_swin), image, partial(swin, **small_swin, mlp_ratio=3))
    cases["levit_128s"] = Case(partial(from_timm, "levit_128s"), (3, 224, 224))
    cases["coatnet_nano"] = Case(partial(from_timm, "coatnet_nano_rw_224", img_size=64), image)
    return {f"timm {name}": case for name, case in cases.items()}


def _torchvision() -> dict[str, Case]:
    image = (3, 64, 64)
    return {
        "torchvision shufflenet": Case(partial(from_torchvision, "shufflenet_v2_x0_5"), image),
        "torchvision googlenet": Case(
            partial(from_torchvision, "googlenet", aux_logits=False, init_weights=False), image
        ),
    }


def _monai() -> dict[str, Case]:
    flat, deep = (1, 32, 32), (1, 16, 16, 16)
    unet = {"in_channels": 1, "out_channels": 2, "strides": (2, 2), "num_res_units": 1}
    plain = {"in_channels": 1, "out_channels": 2}
    narrow, wide = (4, 8, 16), (6, 12, 24)
    unet2 = partial(from_monai, "UNet", spatial_dims=2, **unet)
    unet3 = partial(from_monai, "UNet", spatial_dims=3, **unet)
    basic = partial(from_monai, "BasicUNet", spatial_dims=2, **plain)
    segres = partial(from_monai, "SegResNet", spatial_dims=3, **plain)
    dyn = partial(from_monai, "DynUNet", strides=[1, 2, 2], upsample_kernel_size=[2, 2], kernel_size=[3, 3, 3])
    dyn2 = partial(dyn, spatial_dims=2, **plain)
    dyn3 = partial(dyn, spatial_dims=3, **plain)
    attention = partial(from_monai, "AttentionUnet", spatial_dims=2, strides=(2, 2), **plain)
    unetr = partial(
        from_monai, "UNETR", img_size=32, spatial_dims=2, feature_size=8, hidden_size=48, num_heads=4, **plain
    )
    swin = partial(from_monai, "SwinUNETR", spatial_dims=2, feature_size=12, **plain)
    cases = {
        "UNet 2-D": Case(partial(unet2, channels=narrow), flat, partial(unet2, channels=wide), onnx=True),
        "UNet 3-D": Case(partial(unet3, channels=narrow), deep, partial(unet3, channels=wide)),
        "BasicUNet 2-D": Case(
            partial(basic, features=(4, 4, 8, 8, 16, 4)), flat, partial(basic, features=(6, 6, 12, 12, 24, 6))
        ),
        "SegResNet 3-D": Case(
            partial(segres, init_filters=8),
            deep,
            # A channel is a group of the normalisation: twice as many of them, as large as before.
            partial(segres, init_filters=16, norm=("GROUP", {"num_groups": 16})),
        ),
        "DynUNet 2-D": Case(partial(dyn2, filters=narrow), flat, partial(dyn2, filters=wide)),
        "DynUNet 3-D": Case(partial(dyn3, filters=narrow), deep, partial(dyn3, filters=wide)),
        "AttentionUnet 2-D": Case(partial(attention, channels=narrow), flat, partial(attention, channels=wide)),
        "UNETR 2-D": Case(partial(unetr, mlp_dim=96), flat, partial(unetr, mlp_dim=120)),
        "SwinUNETR 2-D": Case(swin, (1, 64, 64)),
        "VNet 3-D": Case(partial(from_monai, "VNet", spatial_dims=3, **plain), (1, 16, 16, 16)),
    }
    return {f"monai {name}": case for name, case in cases.items()}


def _kinds() -> dict[str, Case]:
    """Users' modules of the tests, those of which can change."""
    sys.path.append(str(Path(__file__).parents[1]))
    from tests.surgery.kinds import KINDS

    names = ("Siamese", "Looped", "Rearranged", "SubPixels", "Unshuffled", "Excited", "Separate", "GroupedQueries")
    names += ("Rotary", "Encoder", "Normed", "Decoder", "Pyramid", "Auxiliary", "ByShape", "Prototypes", "Einsums")
    names += ("Cells", "Sequences", "Gated", "Mixed", "Spatial", "Cosine", "Selected", "Merged", "Dense", "Positions")
    return {f"user's {name}": Case(*KINDS[name]) for name in names}


def cases() -> dict[str, Case]:
    """All networks by name."""
    image = (3, 32, 32)
    own = {
        "cifar resnet20 option A": Case(CifarResNet, image, partial(CifarResNet, width=24), onnx=True),
        "cifar resnet56 option A": Case(partial(CifarResNet, 9), image, partial(CifarResNet, 9, 8)),
        "cifar vgg16": Case(cifar_vgg, image, partial(cifar_vgg, 10), onnx=True),
        "user's two streams": Case(TwoStreams, {"image": (3, 16, 16), "table": (7,)}, partial(TwoStreams, 20, 30)),
    }
    return {**own, **_kinds(), **_timm(), **_torchvision(), **_monai()}
