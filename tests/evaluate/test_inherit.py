"""Candidates that start from the weights of earlier ones (C2)."""

from __future__ import annotations

import pytest
import torch

import nasplug as nas


class Heirs:
    """Trains one network, then proposes others that start from it.

    Args:
        children: Genotypes.
        epochs: Of the children.
    """

    def __init__(self, children, epochs=0, first=(8, "tanh", "none")) -> None:
        self.children, self.epochs, self.first = children, epochs, first

    @nas.hookimpl
    def propose(self, study, count):
        if study.pending or study.proposed > len(self.children):
            return []
        if not study.proposed:
            return [study.proposal(study.space.architecture(list(self.first)))]
        child = study.space.architecture(list(self.children[study.proposed - 1]))
        return [study.proposal(child, epochs=self.epochs, weights_of=study.trials[0])]


def test_the_same_architecture_starts_with_the_same_weights(train):
    study = train(strategy=Heirs([(8, "tanh", "none")]), trials=2)
    first, second = study.trials
    assert second.state == "complete", second.failure
    assert second.proposal.inherits == nas.Inherit(0, "weights")
    old, new = study.network(first).state_dict(), study.network(second).state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert second.metrics["val_acc"] == first.metrics["val_acc"]


def test_tied_weights_are_inherited_too(train):
    tied = (8, "tanh", "tied")
    study = train(strategy=Heirs([tied], first=tied), trials=2, trouble=("none", "tied"))
    assert study.trials[1].state == "complete", study.trials[1].failure
    old, new = study.network(study.trials[0]), study.network(study.trials[1])
    assert torch.equal(old[5].weight, new[4].weight)


def test_a_training_of_its_own_begins_there(train):
    study = train(strategy=Heirs([(8, "tanh", "none")], epochs=1), trials=2)
    assert [measurement.step for measurement in study.trials[1].measurements] == [1]
    fresh = train(enqueue=[[8, "tanh", "none"]], trials=1, epochs=1)
    assert study.trials[1].metrics["val_loss"] < fresh.trials[0].metrics["val_loss"]


def test_another_width_fails_and_says_what_to_do(train):
    trial = train(strategy=Heirs([(16, "tanh", "none")]), trials=2).trials[1]
    assert (trial.state, trial.failure.kind) == ("failed", "shape")
    assert "the weights of trial 0 do not fit" in trial.failure.message
    assert "build: [inherit.overlap]" in trial.failure.message


def test_another_width_starts_from_what_both_have(train):
    study = train(
        strategy=Heirs([(16, "tanh", "none"), (4, "relu", "none")]), trials=3, build=["inherit.overlap"], seed=3
    )
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    old, wider, narrower = (study.network(trial).state_dict() for trial in study.trials)
    assert torch.equal(wider["1.weight"][:8], old["1.weight"])
    assert torch.equal(wider["3.weight"][:, :8], old["3.weight"])
    assert torch.equal(narrower["1.weight"], old["1.weight"][:4])


def test_a_hook_that_changes_the_structure_must_say_so(train):
    class Grows:
        @nas.hookimpl
        def inherit(self, run, network, weights):
            network.append(torch.nn.Linear(10, 10))
            return True

    trial = train(strategy=Heirs([(8, "tanh", "none")], epochs=1), trials=2, build=[Grows()]).trials[1]
    assert trial.state == "failed"
    assert trial.failure.kind == "structure"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"first": (8, "tanh", "shape")}, ("starts from trial 0, which has no weights", "trial 0 is failed")),
        ({"evaluator": {"lightning": {"keep": "none"}}}, ("trial 0 is complete", "keep: best")),
        ({"constraints": ["params <= 10"]}, ("trial 0 is pruned",)),
    ],
)
def test_a_parent_without_weights_is_named(train, arguments, words):
    first = arguments.pop("first", (8, "tanh", "none"))
    if "constraints" in arguments:  # only the parent breaks it
        arguments["costs"] = [OnlyFirst()]
        arguments["constraints"] = ["onlyfirst <= 10"]
    strategy = Heirs([(4, "tanh", "none")], epochs=1, first=first)
    trial = train(strategy=strategy, trials=2, trouble=("none", "shape"), **arguments).trials[1]
    assert trial.state == "failed"
    for word in words:
        assert word in trial.failure.message


class OnlyFirst:
    name = "onlyfirst"

    @nas.hookimpl
    def cost(self, candidate):
        return {"onlyfirst": float(candidate.architecture.genotype[0] == 8) * 100}


@pytest.mark.parametrize("damage", ["missing", "other"])
def test_weights_that_are_lost_or_others_fail_the_child_alone(train, tmp_path, damage):
    class Damages(Heirs):
        @nas.hookimpl
        def observe(self, study, trial):
            if trial.number == 0:
                path = study.artifacts() / trial.artifacts["weights"]
                path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-1] + b"!")

    strategy = Damages([(8, "tanh", "none")], epochs=1)
    trial = train(strategy=strategy, trials=2, storage=tmp_path / "s.sqlite").trials[1]
    assert trial.state == "failed"
    assert ("is missing" if damage == "missing" else "is not the one that this trial wrote") in trial.failure.message


def passing_on(space):
    """Gives a space a hook of its own: what two widths share is filled with sevens."""

    class PassingOn(type(space)):
        @nas.hookimpl
        def inherit(self, run, network, weights):
            with torch.no_grad():
                for name, tensor in network.state_dict().items():
                    shared = zip(tensor.shape, weights[name].shape, strict=True)
                    tensor[tuple(slice(min(sizes)) for sizes in shared)] = 7
            return True

    space.__class__ = PassingOn
    return space


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_space_may_pass_weights_on_by_itself(train, project, wrapped):
    space = passing_on(project.Widths(("none",)))
    if wrapped:
        space = nas.HyperparameterSpace(space, {"lr": [0.01, 0.02]})
    child = [(16, "tanh", "none"), (0.01,)] if wrapped else (16, "tanh", "none")
    heirs = Heirs([child], first=[(8, "tanh", "none"), (0.01,)] if wrapped else (8, "tanh", "none"))
    study = train(strategy=heirs, trials=2, space=space)
    second = study.trials[1]
    assert second.state == "complete", second.failure
    weights = next(value for value in study.network(second).state_dict().values() if value.ndim == 2)
    assert (weights[:8] == 7).all()
    assert not (weights[8:] == 7).any()
