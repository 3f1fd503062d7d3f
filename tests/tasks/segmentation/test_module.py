from __future__ import annotations

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.tasks.segmentation import Scoring


@pytest.fixture
def trainer():
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
    )


class Oracle(nn.Module):
    """Answers by intensity alone, which the balls differ in."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        levels = torch.tensor([-0.3, 4.6, 2.0])  # background, core and shell after scaling
        logits = torch.stack([-((x[:, 0] - level) ** 2) for level in levels], 1)
        return logits + self.bias.view(1, -1, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_whole_volumes_are_scored_on_the_grid_of_the_file(make_task, trainer, dimensions):
    task = make_task(dimensions, scoring=Scoring(surface="test"))
    module = task.module(Oracle(), {})
    (found,) = trainer.validate(module, datamodule=task.datamodule(), verbose=False)
    assert found["val_dice"] > 0.7
    assert "val_hd95" not in found
    (tested,) = trainer.test(module, datamodule=task.datamodule(), verbose=False)
    assert {"test_hd95", "test_surface_dice", "test_dice_core"} <= set(tested)
    assert [each.case for each in module.table] == list(task.parts.test)


def test_resampled_cases_are_brought_back(tmp_path, make_task, trainer):
    from nasplug.data.volumes import Preparation

    task = make_task(preparation=Preparation(spacing=[1.5, 1.5, 1.5]))
    module = task.module(Oracle(), {})
    image = torch.from_numpy(task.cases.image(0))
    assert image.shape == (1, 13, 12, 11)
    logits, answer = module.answer(image, 0)
    assert logits.shape == (3, 13, 12, 11)
    assert answer.shape == (20, 18, 16)
    trainer.validate(module, datamodule=task.datamodule(), verbose=False)
    assert module.table[0].dice[0] > 0.3


def test_a_list_of_outputs_is_trained_and_one_is_scored(make_task, trainer):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.coarse = nn.Conv3d(1, 3, 3, padding=1), nn.Conv3d(1, 3, 2, 2)

        def forward(self, x):
            return [self.layer(x), self.coarse(x)] if self.training else self.layer(x)

    network = Deep()
    before = network.coarse.weight.clone()
    task = make_task()
    trainer.fit(task.module(network, {}), datamodule=task.datamodule())
    assert not torch.equal(before, network.coarse.weight)


def test_a_network_of_another_shape_is_refused(make_task):
    module = make_task().module(nn.Conv3d(1, 4, 1), {})
    with pytest.raises(
        TaskError, match=r"shape \(2, 4, 5, 5, 5\) for 2 patches(.|\n)*logits must be \(2, 3, 5, 5, 5\)"
    ):
        module(torch.zeros(2, 1, 5, 5, 5))


def test_a_penalty_on_all_variables(make_task):
    losses = []
    for l2 in (False, True):
        torch.manual_seed(0)
        network = nn.Conv3d(1, 3, 1)
        module = make_task(training={"l2_all": l2, "weight_decay": 0.5}).module(network, {})
        label = torch.zeros(1, 1, 4, 4, 4, dtype=torch.int64)
        losses.append(module.training_step((torch.zeros(1, 1, 4, 4, 4), label), 0).item())
    squares = sum(float(variable.square().sum()) for variable in network.parameters())
    assert losses[1] - losses[0] == pytest.approx(0.25 * squares, rel=1e-4)


def test_a_network_without_parameters_is_refused(make_task, trainer):
    task = make_task()
    module = task.module(nn.Identity(), {})
    with pytest.raises(TaskError, match="no trainable parameters"):
        module.configure_optimizers()
