"""The original network teaches the smaller ones, whatever module trains them."""

from __future__ import annotations

import pytest
import torch
from nasplug_reduction import shrink
from nasplug_reduction.distillation import Distillation
from nasplug_reduction.extra_loss import ExtraLoss, difference
from torch import nn

from nasplug.contract.errors import SpecError, TrialError


class Module(nn.Module):
    automatic_optimization = True

    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, index):
        loss = self.network(batch).sum()
        return {"loss": loss, "more": index} if index else loss


def test_two_losses_are_mixed():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 3.0)
    module = Module(network)
    callback = ExtraLoss(network, lambda call: call[0][0].sum() + 10 * call[2].sum(), share=0.25)
    callback.on_train_start(None, module)
    x = torch.tensor([[2.0]])
    # Own loss 6; second loss 2 + 60.
    assert module.training_step(x, 0).item() == pytest.approx(0.75 * 6 + 0.25 * 62)
    answer = module.training_step(x, 1)
    assert answer["loss"].item() == pytest.approx(0.75 * 6 + 0.25 * 62)
    assert answer["more"] == 1
    callback.on_train_end(None, module)
    assert module.training_step(x, 0).item() == 6.0


def test_a_module_that_steps_its_optimizers_itself_is_refused():
    module = Module(nn.Linear(1, 1))
    module.automatic_optimization = False
    with pytest.raises(TrialError, match="steps its optimizers itself"):
        ExtraLoss(module.network, lambda call: call[2].sum(), 0.5).on_train_start(None, module)


@pytest.mark.parametrize("arguments", [{"share": 0}, {"share": 1.5}, {"temperature": 0}])
def test_settings_are_checked(arguments):
    with pytest.raises(SpecError, match=r"reduction\.distillation"):
        Distillation(**arguments)


def test_the_original_teaches_its_own_answers_where_labels_say_otherwise(project):
    import own_project

    module = own_project.Lit.load_from_checkpoint(project / "w.ckpt")
    head = module.net[-1]
    with torch.no_grad():  # what was class 0 is now answered as 1, and so on
        head.weight.copy_(head.weight.roll(1, dims=0))
        head.bias.copy_(head.bias.roll(1))
    x, labels = own_project.images(1, 90).tensors
    taught = module.net.eval()(x).argmax(1)
    assert (taught == labels).float().mean() < 0.1
    gaps = []
    for callbacks, answers in (([], labels), ([Distillation(share=1.0)], taught)):
        reduced = shrink(
            module,
            data=own_project.Data(),
            keep=0.5,
            epochs=5,
            strategy="reduction.uniform",
            callbacks=callbacks,
            seed=1,
        )
        found = reduced.network(x)
        assert (found.argmax(1) == answers).float().mean() > 0.8
        with torch.no_grad():
            gaps.append(float(difference(found, module.net.eval()(x))))
    assert gaps[1] < 0.25 * gaps[0], gaps
