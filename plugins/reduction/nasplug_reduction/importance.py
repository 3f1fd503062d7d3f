"""The order in which the channels of a trained network are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Channels, score

#: Scores that need the weights alone; see `nasplug.surgery.scores`.
Importance = Literal["magnitude", "bn_scale", "random"]


def ranked(
    network: nn.Module, channels: Channels, names: tuple[str, ...], by: Importance, seed: int = 0
) -> Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Ranks the channels of groups, the most important first.

    A narrower network keeps a part of what a wider one keeps, so that weights pass from one to the other.

    Args:
        network: The trained network.
        channels: Channels of it.
        names: Groups to rank.
        by: Score; groups that no normalisation scales are ranked by magnitude.
        seed: Seed of random scores.

    Returns:
        Channels and their scores by group, in order of importance.
    """
    found = {}
    for index, name in enumerate(names):
        group = channels.groups[name]
        try:
            scores = score(network, group, by, seed=seed + index)
        except SurgeryError:
            if by != "bn_scale":
                raise
            scores = score(network, group, "magnitude")
        order = np.argsort(-scores.numpy(), kind="stable").astype(np.int64)
        found[name] = (order, scores.numpy()[order])
    return found
