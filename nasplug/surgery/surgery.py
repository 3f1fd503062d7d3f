"""Surgery: channel groups of one network, and edits that change it in place."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from torch import nn
from torch.optim import Optimizer

from nasplug.contract.io import Inputs, InputsLike
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.cost.meta import meta_copy
from nasplug.surgery.changes import changes, make
from nasplug.surgery.groups import Channels
from nasplug.surgery.optimizers import check_optimizer, follow, forget
from nasplug.surgery.records import Edit, Fill, edit_of, read
from nasplug.surgery.refusals import refuse_copies
from nasplug.surgery.rehearsal import channels_of, rehearsed


class Surgery:
    """Grows, splits, removes, silences and reorders channels of a network in place, and drops whole modules.

    Parameters stay the objects that they are, so that optimizers, schedulers and loggers that hold them go on. Every
    edit is first made on a copy without numbers, which is then followed again: if that is not the network that the edit
    should lead to, the edit is refused and nothing is changed.

    Args:
        network: Network on any device, in training or not.
        inputs: Inputs of the network, or the shape of one without the batch, such as (3, 32, 32).
        optimizers: Optimizers whose state follows.

    Attributes:
        network: The network.
        records: All edits so far, as JSON data; `repeat` makes them on a network built anew.

    Raises:
        SurgeryError: The network cannot be followed, or copies of it exist that would not be changed.
    """

    def __init__(self, network: nn.Module, inputs: InputsLike, optimizers: Sequence[Optimizer] = ()) -> None:
        refuse_copies(network)
        self.network = network
        self.inputs = Inputs.of(inputs)
        self.optimizers = tuple(optimizers)
        self.records: list[JsonObject] = []
        self._channels: Channels | None = None
        self._tried = True

    @property
    def channels(self) -> Channels:
        """The channel groups of the network as it is now."""
        if self._channels is None:
            if self._tried:
                self._channels = channels_of(self.network, self.inputs)
            else:
                self._channels = Channels.of_twin(meta_copy(self.network), self.inputs)
        return self._channels

    @property
    def sizes(self) -> dict[str, int]:
        """Number of channels of every group whose size can change."""
        return self.channels.sizes

    def remove(self, groups: Mapping[str, Sequence[int]], *, inexact: bool = False) -> JsonObject:
        """Removes channels with everything that makes, scales or reads them.

        Args:
            groups: Channels by group, numbered from 0.
            inexact: Whether groups are allowed in which even silent channels matter, as in front of a layer
                normalisation; the network must be trained on.

        Returns:
            The record of the edit, for `run.edit`.
        """
        return self.apply(edit_of("remove", groups, inexact=inexact))

    def split(
        self,
        groups: Mapping[str, Sequence[int]],
        *,
        share: float = 0.5,
        noise: float = 0.0,
        seed: int = 0,
        inexact: bool = False,
    ) -> JsonObject:
        """Puts a copy of channels beside them, such that the network computes the same.

        Args:
            groups: Channels by group, numbered from 0.
            share: Share that readers take from the old channel; the new one has the rest.
            noise: Noise on the weights that make the new channel, in standard deviations of the layer. Without it, and
                with equal shares, the two halves get equal gradients and stay copies for ever.
            seed: Seed of the noise.
            inexact: Whether groups are allowed in which a copy changes what the network computes.
        """
        return self.apply(edit_of("split", groups, share=share, noise=noise, seed=seed, inexact=inexact))

    def grow(
        self,
        groups: Mapping[str, int | Sequence[int]],
        *,
        init: str = "zero",
        seed: int = 0,
        inexact: bool = False,
    ) -> JsonObject:
        """Adds channels with random weights.

        Args:
            groups: Number of new channels by group, put behind its last one; or the channels that they are put beside.
            init: `zero`: nobody reads them yet, the network computes the same; `random`: they are read at once.
            seed: Seed of the weights, which have the standard deviation of their layer.
            inexact: Whether groups are allowed in which even channels that nobody reads matter.
        """
        return self.apply(edit_of("grow", groups, init=init, seed=seed, inexact=inexact))

    def mask(self, groups: Mapping[str, Sequence[int]]) -> JsonObject:
        """Sets all weights of channels to zero; their number stays.

        Args:
            groups: Channels by group, numbered from 0.
        """
        return self.apply(edit_of("mask", groups))

    def reorder(self, groups: Mapping[str, Sequence[int]]) -> JsonObject:
        """Puts the channels of groups into another order; the network computes the same.

        Args:
            groups: All channels by group, in their new order.
        """
        return self.apply(edit_of("reorder", groups))

    def drop(self, modules: Sequence[str], *, fill: Fill = "input") -> JsonObject:
        """Takes whole modules out, such as residual blocks: what they were given, or zeros, stands for their result.

        Groups are found anew afterwards, and may have other names: where a block is passed by, the channels in front of
        it and behind it are the same.

        Args:
            modules: Paths of modules that return the shape that they are given; `channels.droppable` has all of them.
            fill: `input` passes the first argument on; `zero` silences a branch whose result is added to something.
        """
        return self.apply(edit_of("drop", {}, modules=tuple(modules), fill=fill))

    def preview(self, edit: Edit) -> nn.Module:
        """Returns the network as an edit would make it, on the meta device, where it has shapes and no numbers.

        Args:
            edit: Edit to look at; the network itself is not touched.

        Raises:
            SurgeryError: The edit cannot be made.
        """
        twin: nn.Module = copy.deepcopy(self.channels.twin)
        make(twin, changes(self.channels, edit))
        return twin

    def apply(self, edit: Edit) -> JsonObject:
        """Makes an edit.

        Returns:
            Its record.

        Raises:
            SurgeryError: It cannot be made; then nothing is changed.
        """
        channels = self.channels
        change = changes(channels, edit)
        for optimizer in self.optimizers:
            check_optimizer(optimizer, change.tensors, self.network)
        if edit.do != "mask":
            self._channels = None  # its copy without numbers is changed even if the edit is refused then
            self._channels = rehearsed(channels, change)
        before = set(self.network.parameters())
        changed = make(self.network, change)
        gone = before - set(self.network.parameters())
        for optimizer in self.optimizers:
            follow(optimizer, changed)
            forget(optimizer, gone)
        if change.dropped and self._tried:
            self._channels = None  # other groups, whose sizes were not tried yet
        record = edit.to_plain(self.inputs)
        self.records.append(record)
        return record


def repeat(network: nn.Module, records: Sequence[Mapping[str, Json]]) -> nn.Module:
    """Makes recorded edits on a network built anew, in place.

    Args:
        network: Network as it was before the edits.
        records: Records of the edits, in order.

    Raises:
        SurgeryError: A record is malformed, or belongs to another network.
    """
    surgery: Surgery | None = None
    for record in records:
        edit, inputs = read(record)
        if surgery is None or surgery.inputs != inputs:
            surgery = Surgery(network, inputs)
            surgery._tried = False  # what could be edited then can be edited now; every edit is rehearsed anyway
        surgery.apply(edit)
    return network
