"""What a trial asks for, and whether any machine could give it."""

from __future__ import annotations

import pytest
from nasplug_ray.demand import Demand

from nasplug.contract.errors import SpecError

CPU_NODE = {"CPU": 8.0, "memory": 16e9}
GPU_NODE = {"CPU": 4.0, "GPU": 2.0, "memory": 64e9, "fast_disk": 1.0}


def test_what_is_not_asked_for_is_not_in_the_bundle():
    assert Demand().bundle() == {"CPU": 1.0}
    assert Demand(0, 0.5, 8e9, {"fast_disk": 1, "slow_disk": 0}).bundle() == {
        "GPU": 0.5,
        "memory": 8e9,
        "fast_disk": 1.0,
    }


@pytest.mark.parametrize(("gpus", "gang"), [(0, False), (0.5, False), (1, False), (2, True)])
def test_several_gpus_are_reserved_as_one(gpus, gang):
    assert Demand(gpus=gpus).gang is gang


@pytest.mark.parametrize(
    "demand", [Demand(), Demand(8), Demand(4, 2), Demand(1, 0.25), Demand(others={"fast_disk": 1}), Demand(memory=64e9)]
)
def test_one_machine_that_has_it_all_is_enough(demand):
    demand.check()
    demand.check_fits([CPU_NODE, GPU_NODE])


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        (Demand(gpus=4), r"GPU 4 \(the most on one machine: 2\)"),
        (Demand(9), r"CPU 9 \(the most on one machine: 8\)"),
        (Demand(memory=65e9), r"memory 65 GB \(the most on one machine: 64 GB\)"),
        (Demand(others={"tape": 1}), r"tape 1 \(the most on one machine: 0\)"),
        (Demand(8, 1), "more than any has at once"),
    ],
)
def test_what_no_machine_has_is_named(demand, words):
    with pytest.raises(SpecError, match=words) as caught:
        demand.check_fits([CPU_NODE, GPU_NODE])
    assert "2 machines" in str(caught.value)


def test_gpus_where_there_are_none():
    with pytest.raises(SpecError, match=r"GPU 1 \(the most on one machine: 0\)"):
        Demand(gpus=1).check_fits([CPU_NODE])
    with pytest.raises(SpecError, match="no machine"):
        Demand().check_fits([])


@pytest.mark.parametrize("demand", [Demand(-1), Demand(gpus=-0.5), Demand(memory=-1), Demand(gpus=1.5)])
def test_numbers_that_cannot_be(demand):
    with pytest.raises(SpecError):
        demand.check()
