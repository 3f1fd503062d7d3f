"""Optimisers and schedules, against hand-computed steps and torch's own."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from nasplug_qnas.networks import SWATS, build_optimiser, configure
from nasplug_qnas.networks.adam_to_sgd import AdamToSGD
from nasplug_qnas.networks.optimisers import OPTIMISERS
from nasplug_qnas.networks.schedules import SCHEMES, special_boundaries

from nasplug.contract.errors import SpecError, UnknownNameError

CURVATURE = torch.tensor([1.0, 4.0, 0.3], dtype=torch.float64)


def weights():
    return torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)


def descend(optimiser, w, steps):
    """Minimise half the curvature-weighted square of w."""
    path = []
    for _ in range(steps):
        optimiser.zero_grad()
        (0.5 * CURVATURE * w * w).sum().backward()
        optimiser.step()
        path.append(w.detach().clone())
    return torch.stack(path)


def slide(optimiser, w, steps, slope=2.0):
    """Descend a straight slope, where Adam's step and the fitting SGD rate are constant."""
    path = []
    for _ in range(steps):
        w.grad = torch.full_like(w, slope)
        before = w.detach().clone()
        optimiser.step()
        path.append((w.detach() - before).item())
    return path


def round_trip(optimiser):
    """The state as it comes back from a checkpoint that may hold no arbitrary objects."""
    file = io.BytesIO()
    torch.save(optimiser.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_swats_is_adam_before_the_switch():
    w, reference = weights(), weights()
    ours = descend(SWATS([w], lr=0.05, eps=1e-8, weight_decay=0.1, switch_tolerance=0.0), w, 30)
    theirs = descend(torch.optim.Adam([reference], lr=0.05, eps=1e-8, weight_decay=0.1), reference, 30)
    torch.testing.assert_close(ours, theirs)


def test_swats_switches_on_a_straight_slope_to_hand_computed_steps():
    # Adam steps by lr = 0.1 against the slope 2, so the fitting SGD rate is 0.05 and settled from the second step on.
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = SWATS([w], lr=0.1)
    steps = slide(optimiser, w, 2)
    assert optimiser.switched() == (1, 1)
    assert optimiser.state[w]["sgd_rate"] == pytest.approx(0.05)
    # v = 2, then 0.9 * 2 + 2 = 3.8, then 5.42; each times (1 - 0.9) * 0.05.
    steps += slide(optimiser, w, 3)
    assert steps == pytest.approx([-0.1, -0.1, -0.01, -0.019, -0.0271])


def test_swats_is_sgd_after_the_switch():
    w = weights()
    optimiser = SWATS([w], lr=0.05, switch_tolerance=1e9)
    descend(optimiser, w, 2)
    assert optimiser.switched() == (1, 1)
    rate = optimiser.state[w]["sgd_rate"]
    reference = w.detach().clone().requires_grad_()
    ours = descend(optimiser, w, 20)
    theirs = descend(torch.optim.SGD([reference], lr=0.1 * rate, momentum=0.9), reference, 20)
    torch.testing.assert_close(ours, theirs)


def test_swats_rate_is_the_bias_corrected_mean_of_the_projections():
    w = weights()
    optimiser = SWATS([w], lr=0.05, switch_tolerance=0.0)
    mean = 0.0
    for step in range(1, 8):
        before = w.detach().clone()
        descend(optimiser, w, 1)
        change, gradient = w.detach() - before, CURVATURE * before
        mean = 0.999 * mean + 0.001 * float(change @ change / -(change @ gradient))
        assert optimiser.state[w]["rate_mean"] == pytest.approx(mean)
        assert optimiser.state[w]["step"] == step


def test_swats_never_switches_at_the_first_step_nor_to_a_negative_rate():
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = SWATS([w], lr=0.1, switch_tolerance=1e9)
    slide(optimiser, w, 1)
    assert optimiser.switched() == (0, 1)
    uphill = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = SWATS([uphill], lr=0.1, switch_tolerance=1e9, betas=(0.99, 0.5))
    slide(optimiser, uphill, 1, slope=10.0)
    slide(optimiser, uphill, 3, slope=-0.01)  # the momentum still points the old way, against the gradient
    assert optimiser.state[uphill]["rate_mean"] < 0.0
    assert optimiser.switched() == (0, 1)


def test_swats_switches_each_tensor_by_itself():
    straight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    curved = weights()
    optimiser = SWATS([straight, curved], lr=0.1)
    for _ in range(3):
        straight.grad = torch.ones_like(straight)
        curved.grad = CURVATURE * curved.detach()
        optimiser.step()
    assert optimiser.switched() == (1, 2)
    assert optimiser.state[curved].get("sgd_rate") is None


def test_swats_follows_a_schedule_after_the_switch():
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = SWATS([w], lr=0.1)
    slide(optimiser, w, 2)
    optimiser.param_groups[0]["lr"] = 0.01
    assert slide(optimiser, w, 1) == pytest.approx([-0.001])


def test_adam_to_sgd_switches_at_its_step():
    w, reference = weights(), weights()
    optimiser = AdamToSGD([w], switch_step=5, lr=0.01, lr_boost=10.0, momentum=0.9)
    torch.testing.assert_close(descend(optimiser, w, 5), descend(torch.optim.Adam([reference], lr=0.01), reference, 5))
    reference = w.detach().clone().requires_grad_()
    torch.testing.assert_close(
        descend(optimiser, w, 10), descend(torch.optim.SGD([reference], lr=0.1, momentum=0.9), reference, 10)
    )


def test_tf_rmsprop_makes_hand_computed_steps():
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    steps = slide(build_optimiser("rmsprop_tf", [w], lr=0.1, decay=0.9, momentum=0.5), w, 2)
    first = 0.1 * 2 / (0.9 + 0.1 * 4) ** 0.5
    second = 0.5 * first + 0.1 * 2 / (0.9 * 1.3 + 0.1 * 4) ** 0.5
    assert steps == pytest.approx([-first, -second])


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_every_optimiser_descends_and_continues_exactly_from_a_checkpoint(name):
    extra = {"switch_step": 12} if name == "adam2sgd" else {"switch_tolerance": 1e-2} if name == "swats" else {}
    w = weights()
    optimiser = build_optimiser(name, [w], lr=0.02, weight_decay=1e-3, **extra)
    descend(optimiser, w, 10)
    for more in (5, 30):  # the checkpoint is taken before and after a switch
        state, copied = round_trip(optimiser), copy.deepcopy(w)
        path = descend(optimiser, w, more)
        resumed = build_optimiser(name, [copied], lr=0.02, weight_decay=1e-3, **extra)
        resumed.load_state_dict(state)
        assert torch.equal(descend(resumed, copied, more), path)
    assert (CURVATURE * w * w).sum() < (CURVATURE * weights() ** 2).sum()


@pytest.mark.parametrize("make", [SWATS, lambda params: AdamToSGD(params, switch_step=3)])
def test_closures_are_evaluated_and_returned(make):
    w = weights()
    optimiser = make([w])

    def closure():
        optimiser.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).item() == pytest.approx(14.0)
    assert not torch.equal(w, weights())


@pytest.mark.parametrize(
    ("name", "hyperparameters", "error", "message"),
    [
        ("sgd", {}, UnknownNameError, "no optimiser 'sgd'"),
        ("rmsprop", {"dekay": 0.9}, UnknownNameError, "did you mean 'decay'"),
        ("momentum", {"decay": 0.9}, UnknownNameError, "no hyperparameter 'decay'"),
        ("rmsprop_tf", {"lr": -1.0}, SpecError, "lr must not be negative"),
        ("swats", {"betas": (1.0, 0.9)}, SpecError, "betas"),
        ("adam2sgd", {}, SpecError, "switch_step"),
    ],
)
def test_bad_hyperparameters_are_named(name, hyperparameters, error, message):
    with pytest.raises(error, match=message):
        build_optimiser(name, [weights()], **hyperparameters)


def rates(plan, calls):
    found = []
    for _ in range(calls):
        found.append(plan.optimiser.param_groups[0]["lr"])
        plan.optimiser.step()
        plan.scheduler.step()
    return found


def test_cosine_falls_from_a_tenth_to_zero_over_the_training():
    plan = configure("cosine", [weights()], epochs=4, steps_per_epoch=5)
    found = rates(plan, 21)
    assert plan.interval == "step"
    assert (found[0], found[10], found[20]) == pytest.approx((0.1, 0.05, 0.0), abs=1e-12)
    assert plan.optimiser.defaults["momentum"] == 0.9


def test_special_has_the_published_boundaries_and_scales_them():
    found = rates(configure("special", [weights()]), 500)
    assert [found[epoch] for epoch in (0, 4, 5, 249, 250, 374, 375, 499)] == pytest.approx(
        [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )
    assert special_boundaries(100) == (1, 50, 75)
    assert special_boundaries(2) == (1, 2, 3)


def test_cyclic_is_a_triangle_of_twenty_steps_each_way():
    found = rates(configure("cyclic", [weights()]), 61)
    assert [found[step] for step in (0, 10, 20, 30, 40, 60)] == pytest.approx([0.01, 0.055, 0.1, 0.055, 0.01, 0.1])


def test_adam2sgd_scheme_switches_half_way_or_where_told():
    plan = configure("adam2sgd", [weights()], epochs=10, steps_per_epoch=7)
    assert plan.optimiser.defaults["switch_step"] == 35
    plan = configure("adam2sgd", [weights()], epochs=10, steps_per_epoch=7, switch_epoch=2)
    assert plan.optimiser.defaults["switch_step"] == 14


def test_evolved_hyperparameters_reach_the_optimiser():
    plan = configure("constant", [weights()], lr=0.003, decay=0.4, momentum=0.7, weight_decay=1e-4)
    assert plan.scheduler is None
    group = plan.optimiser.param_groups[0]
    assert (group["lr"], group["alpha"], group["momentum"], group["weight_decay"]) == (0.003, 0.4, 0.7, 1e-4)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("optimiser", [None, "adamw"])
def test_every_scheme_runs_with_its_own_and_another_optimiser(scheme, optimiser):
    w = weights()
    plan = configure(scheme, [w], epochs=3, steps_per_epoch=2, optimiser=optimiser)
    for _ in range(6):
        descend(plan.optimiser, w, 1)
        if plan.scheduler is not None:
            plan.scheduler.step()
    assert torch.isfinite(w).all()
    if plan.scheduler is not None:
        resumed = configure(scheme, [weights()], epochs=3, steps_per_epoch=2, optimiser=optimiser)
        resumed.scheduler.load_state_dict(round_trip(plan.scheduler))
        assert resumed.scheduler.get_last_lr() == plan.scheduler.get_last_lr()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scheme": "cosin"}, UnknownNameError, "did you mean 'cosine'"),
        ({"scheme": "cosine", "epochs": 0}, SpecError, "at least one epoch"),
        ({"scheme": "cyclic", "lr": 0.1}, SpecError, "base_lr"),
        ({"scheme": "cyclic", "base_lr": 0.2}, SpecError, "base_lr <= max_lr"),
        ({"scheme": "constant", "momentun": 0.1}, UnknownNameError, "did you mean 'momentum'"),
    ],
)
def test_bad_schemes_are_named(arguments, error, message):
    scheme = arguments.pop("scheme")
    with pytest.raises(error, match=message):
        configure(scheme, [weights()], **arguments)
