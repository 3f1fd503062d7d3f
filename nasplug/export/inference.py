"""The form that a network has for inference alone, where its parts have one."""

from __future__ import annotations

import copy
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class HasInferenceForm(Protocol):
    """A module that another one can stand for once training is over, such as a quantiser that only compares."""

    def inference_form(self) -> nn.Module:
        """Returns a module that gives the same outputs in inference mode; this one stays as it is."""


def inference_form(network: nn.Module) -> nn.Module:
    """Returns a network whose parts have their form for inference; the network itself where no part has one.

    Args:
        network: Network in inference mode; not changed.
    """
    if not any(isinstance(module, HasInferenceForm) for module in network.modules()):
        return network
    found = copy.deepcopy(network).eval()
    forms: dict[int, nn.Module] = {}
    for name, module in list(found.named_modules(remove_duplicate=False)):
        if not isinstance(module, HasInferenceForm):
            continue
        form = forms.setdefault(id(module), module.inference_form().eval())
        if not name:
            return form
        parent, _, last = name.rpartition(".")
        setattr(found.get_submodule(parent), last, form)
    return found
