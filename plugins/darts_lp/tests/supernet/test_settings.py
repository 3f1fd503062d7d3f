"""Tests of `nasplug_darts_lp.supernet.settings`."""

from __future__ import annotations

import math

import pytest
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    LogitsSettings,
    SupernetSettings,
    TrainingSettings,
)

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingSettings(optimisation="bilevle"), "did you mean 'bilevel'"),
        (lambda: TrainingSettings(optimizer="adma"), "did you mean 'adam'"),
        (lambda: TrainingSettings(schedule="cosin"), "did you mean 'cosine'"),
        (lambda: TrainingSettings(order=3), "order=3"),
        (lambda: TrainingSettings(order=2, optimisation="joint"), "bilevel"),
        (lambda: TrainingSettings(lr=0.0), "lr must be > 0"),
        (lambda: TrainingSettings(weight_decay=-1.0), "weight_decay must be >= 0"),
        (lambda: LogitsSettings(lr=math.nan), "lr must be > 0"),
        (lambda: LogitsSettings(warmup=1.0), "warmup must be >= 0 and < 1"),
        (lambda: LogitsSettings(fraction=0.0), "fraction must be > 0 and < 1"),
        (lambda: LogitsSettings(fraction=1.0), "fraction must be > 0 and < 1"),
        (lambda: CostSettings(loss="hing"), "did you mean 'hinge'"),
        (lambda: CostSettings(target=0.0), "target must be > 0"),
        (lambda: SupernetSettings(partial=0), "partial must be >= 1"),
        (lambda: SupernetSettings(scaling="gradients"), "did you mean 'gradient'"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(SpecError, match=message):
        make()


@pytest.mark.parametrize(
    ("group", "name"), [(TrainingSettings, "lr_min"), (CostSettings, "weight"), (LogitsSettings, "warmup")]
)
def test_zero_is_allowed_where_it_means_something(group, name):
    assert getattr(group(**{name: 0.0}), name) == 0.0
