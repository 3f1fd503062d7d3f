"""From the features of a network to what the regressor of info-NAS predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_infonas.iodata import IOData, LabelledNetwork

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How features become targets. The defaults are the final published setting; `THESIS` is the other one.

    Attributes:
        top_k: Entries that are kept; None keeps all.
        per_network: Bring the entries of each network to mean 0 and standard deviation 1.
        standardise: Bring each sorted position to mean 0 and standard deviation 1 over the labelled networks.
    """

    top_k: int | None = 10
    per_network: bool = False
    standardise: bool = False


#: All entries, normalised twice; trained with the absolute error.
THESIS = TargetSettings(top_k=None, per_network=True, standardise=True)


def contributions(network: LabelledNetwork, labels: NDArray[np.int64], settings: TargetSettings) -> Floats:
    """What each feature adds to the logit of the true class, the most weighty features first.

    The features get a constant 1 for the bias, and each is multiplied by its weight towards the image's true class, so
    that the F + 1 entries sum to the logit. They are ordered by descending weight, so that a position means the same in
    networks whose features have nothing to do with each other, and the first `top_k` are kept.

    Args:
        network: Network with features (M, F).
        labels: True classes (M,).
        settings: Settings of the targets.

    Returns:
        Float32 (M, k).

    Raises:
        SpecError: The network has fewer entries than are wanted.
    """
    features = np.concatenate([network.features, np.ones((len(labels), 1), dtype=np.float32)], axis=1)
    weights = np.concatenate([network.weight, network.bias[:, None]], axis=1)[labels]
    if settings.top_k is not None and settings.top_k > features.shape[1]:
        raise SpecError(
            f"top_k={settings.top_k} exceeds the {plural(features.shape[1], 'feature')} of the network",
            where="TargetSettings.top_k",
            fix="take fewer, or build wider networks",
        )
    entries = features * weights
    if settings.per_network:
        entries = (entries - entries.mean()) / max(float(entries.std()), 1e-12)
    order = np.argsort(-weights, axis=1, kind="stable")[:, : settings.top_k]
    return np.take_along_axis(entries, order, axis=1).astype(np.float32)


def make_targets(data: IOData, settings: TargetSettings) -> Floats:
    """Targets float32 (networks, M, k) of all networks.

    Raises:
        SpecError: Networks differ in their number of entries, and all entries are to be kept.
    """
    each = [contributions(network, data.labels, settings) for network in data.networks]
    if len({entries.shape for entries in each}) > 1:
        raise SpecError(
            "the networks have different numbers of features", where="TargetSettings.top_k", fix="set top_k"
        )
    targets = np.stack(each)
    if settings.standardise:
        deviation = targets.std(axis=(0, 1))
        targets = (targets - targets.mean(axis=(0, 1))) / np.where(deviation > 1e-12, deviation, 1.0)
    return targets.astype(np.float32)
