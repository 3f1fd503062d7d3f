"""Tests of `nasplug_darts_lp.supernet.isolation`."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from nasplug_darts_lp.supernet.isolation import isolated


def numbers():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_the_body_is_seeded_and_leaves_no_trace():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    wanted = numbers()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    with isolated(5, 1):
        inside = numbers()
    assert numbers() == wanted
    with isolated(5, 1):
        assert numbers() == inside
    with isolated(6, 1):
        assert numbers() != inside


def test_threads_come_back_even_after_an_error():
    before = torch.get_num_threads()
    seen = []

    def body():
        with isolated(0, before + 1):
            seen.append(torch.get_num_threads())
            raise RuntimeError("trouble")

    with pytest.raises(RuntimeError, match="trouble"):
        body()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
