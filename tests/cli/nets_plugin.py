"""A space of tiny networks for the digits, loaded by the tests with --plugin."""

from __future__ import annotations

from math import prod

import nasplug as nas


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("mlp", f"{__name__}:Mlp", summary="One hidden layer.")
    catalog.wrapper("scaled", f"{__name__}:Scaled", summary="Scales the outputs.")


class Mlp(nas.ChoiceSpace):
    """One hidden layer."""

    def __init__(self) -> None:
        super().__init__("mlp", [nas.Choice("width", (4, 8, 16, 32))])

    def build(self, architecture, task):
        from torch import nn

        (width,) = architecture.genotype
        hidden = nn.Linear(prod(task.input_shape), width)
        return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(width, task.outputs))


class Scaled:
    """Scales the outputs.

    Args:
        factor: By how much.
    """

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    @nas.hookimpl(wrapper=True)
    def build(self, run):
        network = yield
        from torch import nn

        scale = nn.Linear(run.task.outputs, run.task.outputs, bias=False)
        nn.init.eye_(scale.weight)
        scale.weight.data *= self.factor
        return nn.Sequential(network, scale)


def tiny_network(width: int = 2):
    """What `nasplug cost module:function` may name."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(12, width))
