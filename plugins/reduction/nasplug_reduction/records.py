"""Records that make a reduced network out of the original one: edits of surgery, and what surgery does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.surgery import is_edit, repeat
from nasplug_reduction.resolution import scale
from nasplug_reduction.substitution import put_in

VERSION = 1


class Substitution(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Operators that stand for others, and a smaller resolution.

    Attributes:
        kernels: Largest side of the kernel of a convolution by path.
        separable: Paths of the convolutions that a depthwise-separable pair stands for.
        resolution: Factor of the spatial axes of the input.
        dense: Whether the answer is scaled back.
    """

    kernels: dict[str, int] = {}
    separable: tuple[str, ...] = ()
    resolution: float = 1.0
    dense: bool = False

    def to_plain(self) -> JsonObject:
        """Returns the record as JSON data."""
        plain: JsonObject = msgspec.json.decode(msgspec.json.encode(self))
        return {"reduction": VERSION, **plain}


def made(network: nn.Module, records: Sequence[Mapping[str, Json]]) -> nn.Module:
    """Makes a reduced network out of the original one, in place.

    Args:
        network: The original network.
        records: Records of the space, in order.

    Raises:
        SurgeryError: A record is malformed, or belongs to another network.
    """
    network = repeat(network, [record for record in records if is_edit(record)])
    for record in records:
        if is_edit(record):
            continue
        data = dict(record)
        version = data.pop("reduction", None)
        try:
            if version != VERSION:
                raise ValueError(f"it has version {version!r}; this nasplug-reduction reads version {VERSION}")
            change = msgspec.convert(data, Substitution)
        except (msgspec.ValidationError, ValueError) as error:
            raise SurgeryError("the record of a reduction is malformed", where="reduction", why=str(error)) from error
        put_in(network, change.kernels, change.separable)
        if change.resolution != 1:
            scale(network, change.resolution, dense=change.dense)
    return network
