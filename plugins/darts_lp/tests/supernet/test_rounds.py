"""Tests of `nasplug_darts_lp.supernet.rounds`."""

from __future__ import annotations

import json

import pytest
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.rounds import Derived, Record, Rounds

from nasplug.contract.records import Failure
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.work import Outcome

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)
ROUNDS = Rounds(3, 2, 2, {"cost": {"weight": 0.0}}, 60.0)


def view(seed=0):
    return Ledger.of(SPACE, {"val_acc": "max"}, seed=seed).view


def record(number, since=0, failure=None):
    networks = (Derived(("a", number), f"key{number}", 0.5, 1.0),)
    return Record(number, since, f"work{number}", networks, {}, (1.0,), failure)


def test_a_round_goes_on_with_the_one_before():
    first, second = ROUNDS.work(view(), []), ROUNDS.work(view(), [record(0)])
    assert (first.arguments["before"], second.arguments["before"]) == (None, "work0")
    assert (second.arguments["number"], second.arguments["since"]) == (1, 0)
    assert second.arguments["taken"] == ["key0"]
    assert first.time_limit == 60.0
    assert first.arguments["division_seed"] == second.arguments["division_seed"]
    assert first.arguments["seed"] != second.arguments["seed"]


def test_after_a_failure_a_round_starts_afresh():
    earlier = [record(0), record(1, failure=Failure("nan", "the loss is nan"))]
    work = ROUNDS.work(view(), earlier)
    assert (work.arguments["before"], work.arguments["since"]) == (None, 2)
    assert work.arguments["taken"] == ["key0", "key1"]


@pytest.mark.parametrize(
    "other",
    [
        (Rounds(3, 1, 2, ROUNDS.settings), view(), [record(0)]),
        (Rounds(3, 2, 2, {"cost": {"weight": 1.0}}), view(), [record(0)]),
        (ROUNDS, view(seed=1), [record(0)]),
        (ROUNDS, view(), []),
        (ROUNDS, view(), [record(0, failure=Failure("oom", "no memory"))]),
    ],
)
def test_whatever_decides_a_round_is_in_its_key(other):
    rounds, study, earlier = other
    assert rounds.work(study, earlier).key != ROUNDS.work(view(), [record(0)]).key
    assert Rounds(3, 2, 2, ROUNDS.settings, 5.0).work(view(), [record(0)]).key == ROUNDS.work(view(), [record(0)]).key


def test_an_outcome_is_read():
    genotype = SPACE.sample(view().rng("test")).genotype
    result = {
        "networks": [{"genotype": json.loads(json.dumps(genotype)), "key": "k", "probability": 0.1, "cost": 0.2}],
        "probabilities": {"block00_kernel": [0.4, 0.6]},
        "losses": [2.0, 1.0],
        "file": "round-000.safetensors",
    }
    read = ROUNDS.record(view(), [], Outcome("work0", result))
    assert read.networks[0].genotype == genotype
    assert (read.work, read.losses, read.failure) == ("work0", (2.0, 1.0), None)
    failed = ROUNDS.record(view(), [], Outcome("work0", result, Failure("nan", "the loss is nan")))
    assert failed.networks == read.networks
    assert failed.failure is not None


def test_a_round_without_a_result_stands_for_some_network_of_the_space():
    outcome = Outcome("work1", None, Failure("crash", "died"))
    read = ROUNDS.record(view(), [record(0)], outcome)
    (network,) = read.networks
    assert SPACE.architecture(network.genotype).key == network.key
    assert network.probability is None
    assert read == ROUNDS.record(view(), [record(0)], outcome)
    earlier = [Record(0, 0, "work0", (network,), {}, ())]
    assert ROUNDS.record(view(), earlier, outcome).networks[0].key != network.key
