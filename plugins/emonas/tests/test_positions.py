import numpy as np
import pytest
from nasplug_emonas.positions import LEVELS, Positions
from nasplug_emonas.strategy import EMONAS

import nasplug as nas
from nasplug.contract.hookspecs import hookimpl
from nasplug.testing import SyntheticSpace
from nasplug.testing.search import run_search


class Mixed(nas.ChoiceSpace):
    def __init__(self):
        super().__init__(
            "mixed",
            [
                nas.Choice("op", ("conv", "pool")),
                nas.Choice("units", {"low": 16, "high": 64, "step": 16}),
                nas.Choice("kernel", (3, 5, 7), when={"op": "conv"}),
                nas.Choice("drop", {"low": 0.0, "high": 0.5}, when={"op": "pool"}),
            ],
        )

    def build(self, architecture, task):
        raise NotImplementedError


class Evaluator:
    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        made = run.space.active(trial.architecture)
        return nas.Evaluation({"val_acc": made["units"] / 64 - abs(made.get("drop", 1.0) - 0.3)})


def test_genes_of_numbers_are_positions_on_their_scale():
    space = Mixed()
    positions = Positions(space)
    assert positions.sizes == [2, 4, 3, LEVELS]
    architecture = space.architecture({"op": "pool", "units": 48, "drop": 0.2512})
    assert positions.genes(architecture) == (1, 2, 0, 50)
    assert positions.rounded(architecture) == space.architecture({"op": "pool", "units": 48, "drop": 0.25})
    assert positions.canonical((0, 2, 1, 50)) == (0, 2, 1, 0)
    assert positions.canonical((1, 2, 1, 50)) == (1, 2, 0, 50)


def test_nothing_changes_for_listed_options():
    space, rng = SyntheticSpace(), np.random.default_rng(0)
    positions = Positions(space)
    for _ in range(20):
        architecture = space.sample(rng)
        assert positions.genes(architecture) == space.vector(architecture)
        assert positions.rounded(architecture) is architecture
        assert positions.architecture(positions.genes(architecture)) == architecture
    assert positions.canonical((3, 0, 0, 0, 0, 1)) == (3, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("distinct", ["genotype", "network"])
def test_it_learns_numeric_and_conditional_choices(distinct):
    strategy = EMONAS(population=12, offspring=12, distinct=distinct)
    study = run_search(strategy, space=Mixed(), evaluator=Evaluator(), trials=144, seed=1)
    repeated = len(study.trials) - len({trial.architecture for trial in study.trials})
    assert repeated == 0 or distinct == "genotype"
    for trial in study.trials:
        study.space.validate(trial.architecture)
    value = [np.mean([t.values["val_acc"] for t in part]) for part in (study.trials[:36], study.trials[-36:])]
    assert value[1] > value[0] + 0.3
    assert study.best.architecture.genotype[3] == pytest.approx(0.3, abs=0.05)
