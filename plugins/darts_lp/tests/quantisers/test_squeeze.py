"""Tests of `nasplug_darts_lp.quantisers.squeeze`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    activation_quantiser,
)

SQUEEZED = ("double_st", "single_st", "threshold_st")


@pytest.mark.parametrize("kind", SQUEEZED)
def test_the_block_starts_neutral_and_training_moves_it(images, trained, kind):
    """A shift that differs from channel to channel is learnt: thresholds follow, and so do their averages."""
    torch.manual_seed(0)
    quantiser = activation_quantiser(kind, 2, 6, levels="unsigned")
    start = trained("fixed", 2, levels="unsigned", steps=0)
    assert torch.equal(quantiser(images()), start(images())), "as if it were not there"
    shift = torch.linspace(-0.8, 0.8, 6)[:, None, None]
    optimiser = torch.optim.Adam(quantiser.parameters(), lr=0.02)
    losses = []
    for step in range(60):
        values = images(seed=step)
        loss = (quantiser(values) - (values - shift).relu()).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    gain, threshold, _ = quantiser.settled()
    assert threshold.std() > 0.2
    assert (gain - 1).abs().max() > 0.01 or kind == "threshold_st"
    with torch.no_grad():
        live = (quantiser(images(seed=99)) - (images(seed=99) - shift).relu()).square().mean()
        settled = (quantiser.eval()(images(seed=99)) - (images(seed=99) - shift).relu()).square().mean()
    assert settled < 1.2 * live, "inference is as good as training"


def test_sample_squeeze_treats_images_apart_and_batch_squeeze_alike(images, trained):
    values = torch.cat([images()[:1], 3 * images()[:1] + 1])
    for squeeze, alike in (("batch", True), ("sample", False)):
        quantiser = trained("double_st", 4, squeeze=squeeze)
        with torch.no_grad():
            gain = quantiser.live(values)[0]
        assert gain.shape == (1 if alike else 2, 6, 1, 1)
        quantiser.eval()
        assert torch.equal(quantiser(values)[:1], quantiser(values[:1])), "in inference, nothing depends on the batch"


def test_averages_follow_with_their_momentum(images, trained):
    quantiser = trained("double_st", 3, momentum=0.25)
    before = quantiser.average_gain.clone()
    with torch.no_grad():
        gain = quantiser.live(images(seed=7))[0].flatten()
    torch.testing.assert_close(quantiser.average_gain, 0.75 * before + 0.25 * gain)
    with torch.no_grad():
        quantiser.eval()(images(seed=8))
    torch.testing.assert_close(quantiser.average_gain, 0.75 * before + 0.25 * gain)


def test_double_squeezes_what_it_has_adjusted(images, trained):
    quantiser = trained("double_st", 3)
    values = images()
    seen = []
    quantiser.threshold.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        gain, _, _ = quantiser.live(values)
    torch.testing.assert_close(seen[0][0], (gain * values).mean((0, 2, 3)))
