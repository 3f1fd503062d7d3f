"""The workbench: policies, repairs, refusals, and what a variant weighs, on a network with one case of each."""

from __future__ import annotations

import pytest
import torch
from nasplug_ablation.bench import Workbench, built
from nasplug_ablation.components import Component
from nasplug_ablation.network.edits import apply, still_there
from nasplug_ablation.network.policies import NoPolicy
from nasplug_ablation.resolving import resolve
from nasplug_ablation.task import AblationTask
from torch import nn

from nasplug.contract.errors import SpecError, TaskError
from nasplug.surgery.modules import Dropped
from plugins.ablation.tests.conftest import Data, Lit


def planned(bench, *entries):
    return bench.plan(resolve(list(entries), bench))


def made(bench, plan):
    return apply(bench.fresh(), plan.edits, {})


@pytest.mark.parametrize(
    ("module", "policy"),
    [
        ("net.blocks.0", "identity"),
        ("net.blocks.0.conv2", "identity"),
        ("net.blocks.0.bn1", "identity"),
        ("net.drop", "identity"),
        ("net.side", "zero"),
        ("net.gate", "one"),
        ("net.stage", "rewire"),
        ("net.stage.0.conv1", "rewire"),
    ],
)
def test_every_module_gets_the_first_policy_that_fits(bench, module, policy):
    assert planned(bench, {"module": module}).policies == {module: policy}


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("net.never", "it is not called in the step"),
        ("net.nothing", "nothing changes without it"),
        ("net.head", "nothing behind it can take another shape: net answers 20 in place of 3"),
        ("net.stem", r"without it the step fails in net\.blocks\.0"),
    ],
)
def test_what_cannot_leave_has_a_reason(bench, module, why):
    with pytest.raises(NoPolicy, match=why):
        planned(bench, {"module": module, "policy": "auto"})


def test_a_branch_of_zeros_keeps_the_width_of_what_it_is_joined_to(bench):
    plan = planned(bench, {"module": "net.side"})
    network = made(bench, plan)
    assert network.net.head.in_features == 20
    seen = []
    network.net.side.register_forward_hook(lambda module, args, out: seen.append(out))
    network.net(torch.randn(3, 2, 8, 8))
    assert seen[0].shape == (3, 4, 4, 4)
    assert not seen[0].any()
    # A 1 x 1 convolution of 16 to 4 channels on 4 x 4 pixels.
    assert (plan.params - bench.base.params, plan.macs - bench.base.macs) == (-(16 * 4 + 4), -16 * 4 * 16)


def test_zeros_follow_another_size_of_the_image(bench):
    network = made(bench, planned(bench, {"module": "net.side"}))
    assert network.net(torch.randn(2, 2, 12, 12)).shape == (2, 3)


def test_a_gate_answers_ones(bench):
    network = made(bench, planned(bench, {"module": "net.gate"})).eval()
    seen = []
    network.net.gate.register_forward_hook(lambda module, args, out: seen.append(out))
    network.net(torch.randn(2, 2, 8, 8))
    assert seen[0].shape == (2, 8, 1, 1)
    assert (seen[0] == 1).all()


def test_layers_behind_a_stage_take_its_input(bench):
    plan = planned(bench, {"module": "net.stage"})
    assert set(plan.renewed) == {"net.side", "net.head"}
    network = made(bench, plan)
    assert network.net.side.in_channels == 8
    assert network.net.side.weight.shape == (4, 8, 1, 1)
    assert plan.params == sum(parameter.numel() for parameter in network.parameters())


def test_a_renewed_layer_has_weights_of_its_own_kind(bench):
    network = made(bench, planned(bench, {"module": "net.stage.0.conv1"}))
    norm, conv = network.net.stage[0].bn1, network.net.stage[0].conv2
    assert norm.num_features == 8
    assert norm.running_mean.shape == norm.weight.shape == (8,)
    assert conv.weight.shape == (16, 8, 3, 3)
    assert conv.weight.std() > 0


def test_a_module_inside_another_one_goes_with_it(bench):
    both = planned(bench, {"group": ["net.blocks.0", "net.blocks.0.conv1"], "name": "both"})
    assert [edit["path"] for edit in both.edits] == ["net.blocks.0"]


def test_a_span_goes_as_one(bench):
    plan = planned(bench, {"span": ["net.blocks.0", "net.blocks.1"]})
    assert plan.policies == {"net.blocks.0 to net.blocks.1": "identity"}
    network = made(bench, plan)
    assert all(isinstance(block, Dropped) for block in network.net.blocks)
    with pytest.raises(NoPolicy, match="parts of different modules"):
        planned(bench, {"span": ["net.blocks.0", "net.stem"]})
    with pytest.raises(NoPolicy, match="comes before"):
        planned(bench, {"span": ["net.blocks.1", "net.blocks.0"]})


def test_an_adapter_is_made_on_request(bench):
    plan = planned(bench, {"module": "net.stage", "policy": "adapter"})
    network = made(bench, plan)
    assert isinstance(network.net.stage.layers, nn.Conv2d)
    assert network.net.stage.layers.stride == (2, 2)
    assert not plan.renewed


def test_a_policy_that_does_not_fit_is_refused(bench):
    with pytest.raises(NoPolicy, match="identity: it turns 8x8x8 into 16x4x4"):
        planned(bench, {"module": "net.stage", "policy": "identity"})


def test_another_module_takes_its_place(bench):
    plan = planned(bench, {"replace": "net.blocks.0.act", "by": "torch.nn.Tanh"})
    assert isinstance(made(bench, plan).net.blocks[0].act, nn.Tanh)
    with pytest.raises(NoPolicy, match="nothing changes"):
        planned(bench, {"replace": "net.blocks.0.act", "by": "torch.nn.ReLU"})


@pytest.mark.parametrize("term", ["hparams.beta", "size", "l1", "weights.square"])
def test_a_term_of_the_loss_becomes_zero(bench, term):
    plan = planned(bench, {"loss": term})
    whole, without = bench.fresh(), made(bench, plan)
    x, y = torch.randn(4, 2, 8, 8), torch.tensor([0, 1, 2, 0])
    whole.eval(), without.eval()
    logits = whole.net(x)
    lost = {
        "hparams.beta": 0.1 * logits.abs().mean(),
        "size": 0.1 * logits.abs().mean(),
        "l1": logits.abs().mean(),
        "weights.square": 0.1 * logits.square().mean(),
    }
    difference = whole.training_step((x, y), 0) - without.training_step((x, y), 0)
    assert difference.item() == pytest.approx(lost[term].item(), abs=1e-5)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("weights.zero", "is 0 already"),
        ("hparams.gamma", "there is no 'hparams.gamma'"),
        ("weights", "is a dict, which weighs and makes no term"),
    ],
)
def test_a_term_that_is_not_one_is_refused(bench, term, message):
    with pytest.raises(SpecError, match=message):
        planned(bench, {"loss": term})


def test_a_function_of_ones_own_changes_the_module_or_makes_another(bench):
    def narrow(module):
        module.net.side = nn.Sequential(nn.Tanh(), module.net.side)

    def other():
        return Lit(smoothing=0.5)

    components = resolve([{"custom": narrow}, {"custom": other, "name": "smooth"}], bench)
    assert bench.plan(components[:1]).policies == {"narrow": "custom"}
    assert bench.plan(components[1:]).params == bench.base.params
    with pytest.raises(NoPolicy, match="nothing changes"):
        bench.plan(resolve([{"custom": lambda module: None, "name": "idle"}], bench))


def test_a_branch_that_begins_at_zero_counts(bench):
    class Zeroed(Lit):
        def __init__(self):
            super().__init__()
            nn.init.zeros_(self.net.blocks[0].conv2.weight), nn.init.zeros_(self.net.blocks[0].conv2.bias)

    zeroed = Workbench(AblationTask(Zeroed, Data))
    assert zeroed.plan([Component("module", "b", "net.blocks.0")]).policies == {"net.blocks.0": "identity"}


def test_the_whole_module_and_the_random_numbers_of_others_stay_as_they_are(bench):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    weights = {name: value.clone() for name, value in bench.module.state_dict().items()}
    planned(bench, {"module": "net.stage"})
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, weights[name]) for name, value in bench.module.state_dict().items())


def test_what_a_module_builds_late_can_leave_and_stays_away():
    class Late(Lit):
        def __init__(self):
            super().__init__()
            self.net = None

        def configure_model(self):
            if self.net is None:
                self.net = Lit().net

    bench = Workbench(AblationTask(Late, Data))
    plan = bench.plan([Component("module", "b", "net.blocks.0")])
    module = apply(built(bench.source, {}), plan.edits, {})
    module.configure_model()
    assert isinstance(module.net.blocks[0], Dropped)
    assert still_there(module, plan.edits) == []
    module.net = Lit().net
    assert still_there(module, plan.edits) == ["net.blocks.0"]


def test_a_module_that_needs_its_trainer_is_said_to(bench):
    class Needy(Lit):
        def training_step(self, batch, _):
            return self.trainer.max_epochs

        validation_step = training_step

        def forward(self, x):
            raise ValueError("no")

    with pytest.raises(TaskError, match=r"(?s)no step of the module runs.*training_step.*forward: ValueError: no"):
        Workbench(AblationTask(Needy, Data)).base  # noqa: B018


@pytest.mark.parametrize("given", ["lr", 3, {}, {"lr": 0.0, "wd": 0.0}, ["lr"]])
def test_one_hyperparameter_is_one_name_with_its_value(bench, given):
    with pytest.raises(SpecError, match="cannot read"):
        resolve([{"hyperparameter": given}], bench)
