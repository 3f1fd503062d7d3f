"""Which GPU a worker gets."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import SpecError
from nasplug.run.executors.devices import device_of


def devices(workers, device="cuda", gpus=None, found=2):
    return [device_of(worker, workers, device, gpus, found) for worker in range(workers)]


def test_workers_share_evenly_unless_told_otherwise():
    assert devices(2) == ["cuda:0", "cuda:1"]
    assert devices(5) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert devices(3, "auto", found=1) == ["cuda:0"] * 3


def test_a_part_of_a_gpu():
    assert devices(4, gpus=0.5) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    assert devices(2, gpus=1.0) == ["cuda:0", "cuda:1"]
    assert devices(2, gpus=0.6) == ["cuda:0", "cuda:1"]  # two of them do not fit on one
    assert devices(6, gpus=1 / 3) == ["cuda:0"] * 3 + ["cuda:1"] * 3
    assert devices(2, gpus=0) == ["cpu", "cpu"]


def test_a_named_gpu_or_none_at_all_is_left_as_it_is():
    assert devices(2, "cuda:1") == ["cuda:1", "cuda:1"]
    assert devices(2, "cpu", gpus=0.5) == ["cpu", "cpu"]
    assert devices(2, "auto", found=0) == ["auto", "auto"]
    assert devices(2, "cuda", found=0) == ["cuda", "cuda"]  # the evaluator says that there is none


@pytest.mark.parametrize(("workers", "gpus", "words"), [(3, 1.0, "at most 2 workers"), (1, 2.0, "at most 1")])
def test_more_than_there_is_is_refused(workers, gpus, words):
    with pytest.raises(SpecError, match="GPU") as caught:
        devices(workers, gpus=gpus)
    assert words in str(caught.value)
