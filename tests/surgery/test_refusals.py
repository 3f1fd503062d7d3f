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


def test_a_distributed_network_is_refused_and_what_is_inside_can_be_edited(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(network())
        with pytest.raises(SurgeryError, match=r"(?s)a DistributedDataParallel cannot be edited.*wrap it again"):
            Surgery(wrapped, (4,))
        Surgery(wrapped.module, (4,)).remove({"0": [0]})
        again = nn.parallel.DistributedDataParallel(wrapped.module)
        again(torch.ones(2, 4)).sum().backward()
        assert again.module[0].weight.grad.shape == (5, 4)
    finally:
        torch.distributed.destroy_process_group()


def test_an_average_of_weights_is_made_after_the_last_edit():
    net = network()
    surgery = Surgery(net, (4,))
    surgery.grow({"0": 2})
    average = AveragedModel(net)
    average.update_parameters(net)
    assert average.module[0].weight.shape == (8, 4)
    assert torch.equal(average.module[2].weight, net[2].weight)
    with pytest.raises(SurgeryError, match="AveragedModel cannot be edited"):
        Surgery(nn.Sequential(average), (4,))
