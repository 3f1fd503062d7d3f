"""Work says how far it is about once a second, and at the end of every epoch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplug.evaluate import telling


def test_it_says_shares_of_the_whole_now_and_then(monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    callback = telling.Telling(SimpleNamespace(progress=said.append), epochs=2)
    for epoch in (0, 1):
        trainer = SimpleNamespace(num_training_batches=4, current_epoch=epoch)
        for index, moment in enumerate((0.0, 0.5, 1.2, 1.3)):
            now[0] = 10.0 * epoch + moment
            callback.on_train_batch_end(trainer, None, None, None, index)
    # The first batch, a second later, and the last one of each epoch.
    assert said == pytest.approx([1 / 8, 3 / 8, 4 / 8, 5 / 8, 7 / 8, 1.0])
