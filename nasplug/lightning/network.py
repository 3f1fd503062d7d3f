"""The network inside a user's LightningModule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from nasplug.contract.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule


def network_of(
    pl_module: LightningModule, attribute: str, *, where: str = "Plugins", argument: str = "network_attribute"
) -> nn.Module:
    """Returns the network inside a LightningModule.

    Args:
        pl_module: LightningModule that trains it.
        attribute: Name of the attribute that holds it.
        where: Object that asks, for messages.
        argument: Argument of that object that names the attribute, for messages.

    Raises:
        SpecError: The LightningModule does not have a module of that name.
    """
    found = getattr(pl_module, attribute, None)
    if not isinstance(found, nn.Module):
        names = [name for name, _ in pl_module.named_children()]
        raise SpecError(
            f"{type(pl_module).__name__} has no network {attribute!r}",
            where=where,
            fix=f"give {argument}=...: {did_you_mean(attribute, names)}",
        )
    return found
