import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.contract.errors import NasplugError, SpecError, TaskError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Proposal
from nasplug.run.hyperparameters import Fill, check_names, with_hyperparameters
from nasplug.run.spec import RunSpec
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug.testing import Shapes, SyntheticSpace, run_search

GIVEN = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "optimizer": ["adam", "sgd"],
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "clip": 0.5,
}


class Sensitive:
    """The best learning rate is 0.01, and the optimiser matters; the architecture counts too."""

    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        given = trial.hyperparameters
        assert set(given) == {"lr", "optimizer", "clip"} | ({"momentum"} if given["optimizer"] == "sgd" else set())
        wide = run.space.label(trial.architecture).count("wide")
        score = wide / 6 - abs(np.log10(given["lr"]) + 2) + (given["optimizer"] == "sgd")
        return nas.Evaluation({"val_acc": float(score)})


def space():
    return HyperparameterSpace(SyntheticSpace(), GIVEN)


@pytest.mark.parametrize(
    ("strategy", "learns"),
    [
        ("random", False),
        ({"regularized_evolution": {"population_size": 12, "tournament_size": 4}}, True),
        ({"asha": {"inner": "random", "min_epochs": 3}}, False),
        ({"bogk": {"pool": 30}}, True),
        ({"qnas": {}}, True),
        ({"optuna.tpe": {}}, True),
        ({"emonas": {"population": 12}}, True),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)) if isinstance(value, dict) else str(value),
)
def test_every_strategy_searches_hyperparameters(strategy, learns):
    name = strategy if isinstance(strategy, str) else next(iter(strategy))
    if name in ("bogk", "qnas", "optuna.tpe", "emonas"):
        pytest.importorskip(f"nasplug_{name.partition('.')[0]}")
    trials = 60 if name == "bogk" else 150
    study = run_search(strategy, space=space(), evaluator=Sensitive(), trials=trials, seed=2)
    assert len(study.trials) == trials
    assert {trial.state for trial in study.trials} == {"complete"}
    off = [abs(np.log10(trial.hyperparameters["lr"]) + 2) for trial in study.trials]
    assert len(set(off)) > 15
    if learns:
        assert np.mean(off[-20:]) < 0.5 * np.mean(off[:20])


def test_the_key_is_short_for_a_space():
    written = RunSpec.parse({"space": {"nasbench201": {}}, "hyperparameters": GIVEN})
    long = RunSpec.parse({"space": {"with_hyperparameters": {"space": {"nasbench201": {}}, "hyperparameters": GIVEN}}})
    assert written.fingerprint() == long.fingerprint()
    assert RunSpec.parse(written.to_plain()) == written
    assert RunSpec.parse({"space": "nasbench201", "hyperparameters": None}) == RunSpec.parse({"space": "nasbench201"})
    with pytest.raises(SpecError, match=r"write \{name"):
        RunSpec.parse({"space": "nasbench201", "hyperparameters": ["lr"]})
    with pytest.raises(SpecError, match="did you mean 'hyperparameters'"):
        RunSpec.parse({"space": "nasbench201", "hyperparameter": {}})


def test_a_ready_space_is_wrapped_and_plain_data_stay_plain():
    ready = with_hyperparameters(SyntheticSpace(), GIVEN)
    assert isinstance(ready, HyperparameterSpace)
    assert with_hyperparameters("nasbench201", None) == "nasbench201"
    assert with_hyperparameters("nasbench201", GIVEN) == {
        "with_hyperparameters": {"space": "nasbench201", "hyperparameters": GIVEN}
    }


def test_a_study_file_knows_its_hyperparameters(tmp_path):
    options = {
        "space": {"class_path": "nasplug.testing.SyntheticSpace", "init_args": {"length": 3}},
        "hyperparameters": GIVEN,
        "evaluator": Sensitive(),
        "storage": tmp_path / "study.sqlite",
        "seed": 3,
    }

    first = nas.search(**options, trials=10)
    whole = nas.search(**options, trials=20)
    fresh = nas.search(**{**options, "storage": None}, trials=20)
    assert [trial.proposal for trial in whole.trials[:10]] == [trial.proposal for trial in first.trials]
    assert [trial.proposal for trial in whole.trials] == [trial.proposal for trial in fresh.trials]
    opened = nas.load_study(tmp_path / "study.sqlite")
    assert isinstance(opened.space, HyperparameterSpace)
    for trial in opened.trials:
        assert trial.hyperparameters == opened.space.hyperparameters(trial.architecture)


def test_names_are_checked_before_anything_runs():
    class Strict(Shapes):
        def check_hyperparameters(self, names):
            for name in names:
                if name not in ("lr", "optimizer", "momentum"):
                    raise TaskError(f"there is no hyperparameter {name!r}")

    with pytest.raises(TaskError, match="'clip'"):
        run_search("random", space=space(), task=Strict(), evaluator=Sensitive(), trials=1)


def test_what_a_strategy_searches_by_itself_has_other_names():
    class Tuning(RandomSearch):
        hyperparameters = ("lr", "decay")

        @hookimpl
        def propose(self, study, count):
            return [Proposal(each.architecture, {"decay": 0.1}) for each in super().propose(study, count)]

    with pytest.raises(SpecError, match="'lr' is searched twice"):
        run_search(Tuning(), space=space(), trials=1)
    Tuning.hyperparameters = ("decay",)
    study = run_search(Tuning(), space=space(), trials=3)
    assert all({"decay", "lr", "clip"} <= set(trial.hyperparameters) for trial in study.trials)
    assert check_names(SyntheticSpace(), ["a"], where="x") == ["a"]


def test_given_architectures_come_with_their_hyperparameters():
    wanted = [["wide"] * 6, {"lr": 0.01, "optimizer": "adam"}]
    study = run_search("random", space=space(), evaluator=Sensitive(), trials=2, enqueue=[wanted])
    assert study.trials[0].hyperparameters == {"lr": 0.01, "optimizer": "adam", "clip": 0.5}
    with pytest.raises(NasplugError, match="pair"):
        run_search("random", space=space(), evaluator=Sensitive(), trials=2, enqueue=[["wide"] * 6])


def test_a_broken_strategy_is_still_reported_as_such():
    wrapped = Fill(space()).propose()
    next(wrapped)
    with pytest.raises(StopIteration) as ended:
        wrapped.send("nonsense")
    assert ended.value.value == "nonsense"
