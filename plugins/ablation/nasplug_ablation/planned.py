"""What a plan has decided about one variant, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from nasplug.contract.jsondata import Json


@dataclass
class Planned:
    """What taking components away does to the module.

    Attributes:
        edits: Changes of the module, as JSON data; see `nasplug_ablation.network.edits`.
        policies: Policy by path of every module that goes.
        renewed: Layers that get new weights.
        params: Number of parameters.
        macs: Multiply-accumulates of one sample; None where they cannot be counted.
        notes: Remarks for the person.
    """

    edits: list[dict[str, Json]] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    renewed: list[str] = field(default_factory=list)
    params: int = 0
    macs: int | None = None
    notes: list[str] = field(default_factory=list)
