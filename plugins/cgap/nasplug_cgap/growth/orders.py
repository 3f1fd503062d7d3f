"""What a strategy orders of the network of one trial: one change of structure, as data in the trial's proposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from nasplug.contract.errors import TrialError
from nasplug.contract.jsondata import Json, JsonObject

#: Key of `proposal.info` that holds an order.
ORDER = "cgap"


class Order(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change of structure at the start of a trial, which then trains.

    Attributes:
        do: Change to make: `sow` cuts a new network to its seed, `grow` and `prune` are one step each, `train` changes
            nothing and wakes silent weights.
        factor: Factor of `growth.rate` in this step.
        done: Share of the pruning that is done after this step.
    """

    do: Literal["sow", "grow", "prune", "train"]
    factor: float = 1.0
    done: float = 1.0

    def to_plain(self) -> JsonObject:
        """Returns the order as JSON data."""
        plain: JsonObject = msgspec.to_builtins(self)
        return plain


def order_of(info: Mapping[str, Json], where: str) -> Order | None:
    """Returns the order in the provenance of a proposal, None if there is none.

    Args:
        info: Provenance of the proposal.
        where: Name of the trial, for messages.

    Raises:
        TrialError: It is malformed.
    """
    if ORDER not in info:
        return None
    try:
        return msgspec.convert(info[ORDER], Order)
    except msgspec.ValidationError as error:
        raise TrialError(
            "error",
            f"the order {info[ORDER]!r:.100} cannot be read",
            where=where,
            why=str(error),
            fix="propose it as nasplug_cgap.growth.orders.Order(...).to_plain()",
        ) from None
