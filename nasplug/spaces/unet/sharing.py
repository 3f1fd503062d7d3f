"""Weights that U-Nets share when they are trained together. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Parameters of a block that read its input, with the axis of the channels that they read, by kind of the block.
_READERS = {
    "conv": {"0.weight": 1},
    "residual": {"branch.0.0.weight": 1, "shortcut.weight": 1},
    "inverted": {"branch.0.0.weight": 1},
    "separable": {"0.weight": 0, "1.0.weight": 1},
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What decides about the weights of one resolution.

    Attributes:
        width: Number of channels.
        widest: Largest number of channels that any network has there.
        encoder: Kind of the blocks on the way down.
        decoder: Kind of the block on the way up; unused at the deepest level.
        skip: Kind of the join with the way up: `concat`, `add` or `gate`; unused at the deepest level.
    """

    width: int
    widest: int
    encoder: str
    decoder: str
    skip: str


def shared_weights(names: Iterable[str], stages: Sequence[Stage]) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
    """Says where the parameters of a U-Net lie in weights that all U-Nets of a space share.

    Blocks of one kind are one at their position. A block on the way up reads what comes from below, then the skip; in
    the shared weights the skip begins where the widest network's does. A sum of both is read by weights of its own.

    Args:
        names: Names of parameters of a `Padded` U-Net.
        stages: Levels of the network, the finest first.

    Returns:
        See `nasplug.SharesWeights`. Joins, heads and gates are shared by their names, and left out.
    """
    found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
    for name in names:
        parts = name.split(".")
        if parts[1] == "encoders":
            depth, block, rest = int(parts[2]), int(parts[3]), ".".join(parts[4:])
            if depth == 0:  # the first layer there is the stem
                block -= 1
            if block >= 0:
                found[name] = f"encoders.{depth}.{stages[depth].encoder}.{block}.{rest}", {}
        elif parts[1] == "decoders":
            depth, rest = int(parts[2]), ".".join(parts[3:])
            stage = stages[depth]
            join = "add" if stage.skip == "add" else "concat"
            axis = _READERS[stage.decoder].get(rest)
            positions: dict[int, Sequence[int]] = {}
            if join == "concat" and axis is not None:
                positions[axis] = [*range(stage.width), *range(stage.widest, stage.widest + stage.width)]
            found[name] = f"decoders.{depth}.{stage.decoder}.{join}.{rest}", positions
    return found
