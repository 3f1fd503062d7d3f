"""Networks that hold copies of themselves are refused, with the way out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.optim.swa_utils import AveragedModel

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("wrapped", "way"),
    [
        (lambda: nn.DataParallel(network()), "before it is wrapped"),
        (lambda: torch.compile(network()), "_orig_mod"),
        (lambda: AveragedModel(network()), "after the last edit"),
        (lambda: torch.jit.script(network()), "before it is scripted"),
        (lambda: nn.Sequential(weight_norm(nn.Linear(4, 6)), nn.Linear(6, 2)), "remove_parametrizations"),
    ],
    ids=["parallel", "compiled", "averaged", "scripted", "parametrised"],
)
@pytest.mark.filterwarnings("ignore")
def test_copies_are_refused_with_the_way_out(wrapped, way):
    with pytest.raises(SurgeryError, match=way):
        Surgery(wrapped(), (4,))
