"""The speed of an epoch is that of its batches."""

from __future__ import annotations

import time

from nasplug.auto.speed import Speed
from nasplug.plugins.discovery import discover
from nasplug.run.spec import RunSpec

PLAIN = {
    "task": {"image_classification": {"data": "digits", "limit": 400, "batch_size": 32}},
    "space": "tabular_mlp",
    "objectives": {"val_acc": "max"},
    "budget": {"trials": 1, "epochs": 1},
}


def test_an_epoch_takes_as_long_as_all_its_batches(monkeypatch):
    from nasplug.tasks.classification_module import ClassificationModule

    step = ClassificationModule.training_step

    def slow(self, batch, index):
        time.sleep(0.02)
        return step(self, batch, index)

    monkeypatch.setattr(ClassificationModule, "training_step", slow)
    # 400 images, less a tenth for validation and a tenth for the test: 324 in 11 batches of 32.
    assert 0.2 < Speed(RunSpec.parse(PLAIN), discover().catalog, batches=2)("tabular_mlp") < 2.0
