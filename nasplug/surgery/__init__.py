"""Surgery on live networks: grow, split, remove, silence and reorder channels in place; needs the extra `train`."""

from nasplug.surgery.groups import ChannelGroup, Channels, Member
from nasplug.surgery.records import Edit, edit_of, is_edit
from nasplug.surgery.rehearsal import channels_of
from nasplug.surgery.scores import Score, activations, score, scores
from nasplug.surgery.surgery import Surgery, repeat

__all__ = [
    "ChannelGroup",
    "Channels",
    "Edit",
    "Member",
    "Score",
    "Surgery",
    "activations",
    "channels_of",
    "edit_of",
    "is_edit",
    "repeat",
    "score",
    "scores",
]
