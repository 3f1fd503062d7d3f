"""Tests of `nasplug_darts_lp.supernet.progress`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nasplug_darts_lp.supernet.progress import Progress


def follow(every, epochs=2, batches=4):
    heard = []
    progress = Progress(lambda share, metrics: heard.append((share, dict(metrics))), every)
    for epoch in range(epochs):
        trainer = SimpleNamespace(num_training_batches=batches, current_epoch=epoch, max_epochs=epochs)
        for index in range(batches):
            progress.on_train_batch_end(trainer, SimpleNamespace(mean_loss=float(index)), None, None, index)
    return heard


def test_shares_rise_to_one():
    heard = follow(0.0)
    assert [share for share, _ in heard] == pytest.approx([i / 8 for i in range(1, 9)])
    assert heard[5][1] == {"epoch": 2, "loss": 1.0}


def test_seldom_but_at_every_end_of_an_epoch():
    assert [share for share, _ in follow(3600.0)] == pytest.approx([1 / 8, 0.5, 1.0])
