"""A search whose trials train on a GPU."""

from __future__ import annotations

import pytest

import nasplug as nas


@pytest.mark.gpu
@pytest.mark.parametrize("space", ["qnas.conv", "emonas.macro"])
def test_trials_train_on_a_gpu(space, tmp_path):
    pytest.importorskip(f"nasplug_{space.partition('.')[0]}")
    study = nas.search(
        nas.component("image_classification", limit=200, batch_size=32),
        space=nas.component(space),
        strategy="random",
        trials=2,
        device="cuda",
        storage=tmp_path / "study.sqlite",
        progress=False,
    )
    assert [trial.state for trial in study.trials] == ["complete", "complete"], study.trials[0].error
    assert all(0 <= trial.values["val_acc"] <= 1 for trial in study.trials)
