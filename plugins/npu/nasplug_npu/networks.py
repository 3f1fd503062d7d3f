"""Workloads of well-known networks, built from their published tables: for comparisons, without any model library."""

from __future__ import annotations

from collections.abc import Callable

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload


def mobilenet_v1(width: float = 1.0, size: int = 224, classes: int = 1000) -> Workload:
    """MobileNet-V1 (arXiv 1704.04861): 568,740,352 products at 1.0/224."""
    network = WorkloadBuilder((3, size, size))
    channels = int(32 * width)
    row = network.conv(INPUT, channels, 3, 2, padding=1, post="relu6", name="stem")
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for number, (wide, stride) in enumerate(plan):
        row = network.conv(
            row, channels, 3, stride, padding=1, groups=channels, post="relu6", name=f"block{number}.depthwise"
        )
        channels = int(wide * width)
        row = network.conv(row, channels, 1, post="relu6", name=f"block{number}.pointwise")
    network.fc(network.global_pool(row, name="pool"), classes, name="classifier")
    return network.build()


def resnet_cifar(blocks: int = 3, classes: int = 10, size: int = 32) -> Workload:
    """ResNets for CIFAR (arXiv 1512.03385) with projected shortcuts; one block per stage is MLPerf Tiny's ResNet-8."""
    network = WorkloadBuilder((3, size, size))
    row = network.conv(INPUT, 16, 3, post="relu", name="stem")
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            name = f"stage{stage}.{block}"
            inner = network.conv(row, channels, 3, stride, padding=1, post="relu", name=f"{name}.conv1")
            inner = network.conv(inner, channels, 3, name=f"{name}.conv2")
            short = network.conv(row, channels, 1, stride, name=f"{name}.shortcut") if stride > 1 else row
            row = network.add([inner, short], post="relu", name=f"{name}.add")
    network.fc(network.global_pool(row, name="pool"), classes, name="classifier")
    return network.build()


def ds_cnn(classes: int = 12) -> Workload:
    """DS-CNN, MLPerf Tiny's keyword spotting network (arXiv 1711.07128): 2,656,768 products."""
    network = WorkloadBuilder((1, 49, 10))
    row = network.conv(INPUT, 64, (10, 4), 2, padding=(5, 1), post="relu", name="stem")
    for block in range(4):
        row = network.conv(row, 64, 3, padding=1, groups=64, post="relu", name=f"block{block}.depthwise")
        row = network.conv(row, 64, 1, post="relu", name=f"block{block}.pointwise")
    network.fc(network.global_pool(row, name="pool"), classes, name="classifier")
    return network.build()


def autoencoder() -> Workload:
    """MLPerf Tiny's anomaly detector: ten fully connected layers, 264,192 products."""
    network = WorkloadBuilder((640,))
    row = INPUT
    for number, features in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128, 640)):
        row = network.fc(row, features, post="relu", name=f"fc{number}")
    return network.build()


#: The networks that published results are compared on.
NETWORKS: dict[str, Callable[[], Workload]] = {
    "mobilenet_v1_1.0_224": mobilenet_v1,
    "mobilenet_v1_0.25_96": lambda: mobilenet_v1(0.25, 96, 2),
    "resnet8": lambda: resnet_cifar(1),
    "resnet20": resnet_cifar,
    "ds_cnn": ds_cnn,
    "autoencoder": autoencoder,
}
