"""Proxies by name: from a network, which they may spoil, and a batch to a number of which more is better."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nasplug_zerocost.batch import Batch
from nasplug_zerocost.proxies.activations import naswot
from nasplug_zerocost.proxies.gradients import fisher, grad_norm, grasp, l2_norm, plain, snip
from nasplug_zerocost.proxies.jacobian import jacov
from nasplug_zerocost.proxies.synflow import synflow

PROXIES: dict[str, Callable[[nn.Module, Batch], float]] = {
    "naswot": naswot,
    "jacov": jacov,
    "synflow": synflow,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "grad_norm": grad_norm,
    "plain": plain,
    "l2_norm": l2_norm,
}
