from __future__ import annotations

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import Preparation
from nasplug.data.volumes.facts import Channel
from nasplug.data.volumes.intensity import Scale, scales

VALUES = np.array([-1000.0, -10.0, 0.0, 10.0, 1000.0], np.float32).reshape(5, 1, 1)


def channel(name):
    return Channel(name, low=-100.0, median=5.0, high=50.0, mean=20.0, std=10.0)


@pytest.mark.parametrize(
    ("name", "intensity", "kind"),
    [
        ("CT", "auto", "ct"),
        ("ct", "auto", "ct"),
        ("T2", "auto", "zscore"),
        ("grey", "auto", "minmax"),
        ("blue", "auto", "minmax"),
        ("CT", "zscore", "zscore"),
        ("T2", "none", "none"),
    ],
)
def test_the_channel_says_which_scale(name, intensity, kind):
    assert scales([channel(name)], Preparation(intensity=intensity))[0].kind == kind


def test_ct_clips_and_divides_by_numbers_of_the_data_set():
    (scale,) = scales([channel("CT")], Preparation())
    np.testing.assert_allclose(scale.apply(VALUES).ravel(), [-12, -3, -2, -1, 3])
    (scale,) = scales([channel("CT")], Preparation(window=[-57, 164]))
    np.testing.assert_allclose(scale.apply(VALUES).ravel(), [-7.7, -3, -2, -1, 14.4], rtol=1e-6)


@pytest.mark.parametrize("window", [[60, 400], [-900, -100]])
def test_a_window_beside_the_foreground_is_refused(window):
    with pytest.raises(DataError, match=r"leaves one value of the channel 'CT'(.|\n)*from -100 to 50"):
        scales([channel("CT")], Preparation(window=window))
    assert scales([channel("T2")], Preparation(window=window))[0].kind == "zscore", "it has no window"


def test_others_use_the_image_alone():
    scaled = Scale("zscore").apply(VALUES)
    assert scaled.mean() == pytest.approx(0, abs=1e-6)
    assert scaled.std() == pytest.approx(1)
    ramp = np.linspace(0, 200, 2001, dtype=np.float32).reshape(-1, 1, 1)
    scaled = Scale("minmax").apply(ramp).ravel()
    assert (scaled[0], scaled[-1]) == (0, 1)
    assert scaled[1000] == pytest.approx(0.5)
    assert Scale("none").apply(VALUES) is VALUES


@pytest.mark.parametrize("kind", ["zscore", "minmax"])
def test_a_constant_image_becomes_zero(kind):
    assert (Scale(kind).apply(np.full((2, 2, 2), 7, np.float32)) == 0).all()
