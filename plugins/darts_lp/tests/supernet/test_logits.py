"""Tests of `nasplug_darts_lp.supernet.logits`."""

from __future__ import annotations

import math

import pytest
import torch
from nasplug_darts_lp.supernet.logits import Logits
from nasplug_darts_lp.supernet.mixing import Mixing


def test_logits_start_near_uniform_and_leave_out_what_is_certain():
    torch.manual_seed(0)
    logits = Logits({"op": 3, "bits": 1, "edges": 2}, plain=["edges"])
    assert sum(p.numel() for p in logits.parameters()) == 5
    weights = logits.sample(Mixing("gumbel_hard"), 1.0)
    assert weights["bits"].tolist() == [1.0]
    assert weights["edges"].tolist() == pytest.approx([0.5, 0.5], abs=0.01)  # never sampled
    assert sorted(weights["op"].round(decimals=5).tolist()) == [0.0, 0.0, 1.0]
    assert logits.probabilities()["op"].tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert logits.one_hot({"op": 2})["op"].tolist() == [0.0, 0.0, 1.0]
    assert logits.finite()
    logits.op.data[0] = math.inf
    assert not logits.finite()
