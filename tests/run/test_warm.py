"""A study that begins with the results of another one, whatever its strategy."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError, StorageError
from nasplug.run.api import run_spec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace

STRATEGIES = [
    "random",
    "local_search",
    "bananas",
    {"regularized_evolution": {"population_size": 4, "tournament_size": 2}},
    {"asha": {"inner": "random", "eta": 2, "min_epochs": 1, "max_epochs": 3}},
    "workshop",
]


@pytest.fixture
def other(working, tmp_path):
    """A study of nine trials in a file."""
    path = tmp_path / "other.sqlite"
    run_spec(working("random", run={"storage": str(path), "seed": 5}))
    return path


def known(study):
    return [(trial.architecture.key, trial.seed, dict(trial.metrics)) for trial in study.trials]


def distinct(path):
    """The complete trials of the file, each network once."""
    found = {}
    for trial in nas.load_study(path).trials:
        if trial.state == "complete" and trial.copied_from is None:
            found.setdefault(trial.architecture.key, trial)
    return list(found.values())


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_every_strategy_starts_from_the_results(working, other, outcome, tmp_path, strategy):
    brought = distinct(other)
    study = run_spec(working(strategy, trials=len(brought) + 6), warm_start=other)
    first = study.trials[: len(brought)]
    assert [(t.architecture.key, t.seed, dict(t.metrics)) for t in first] == [
        (t.architecture.key, t.seed, dict(t.metrics)) for t in brought
    ]
    assert len(study.trials) == len(brought) + 6
    assert all(trial.proposal.info["origin"] == "warm start" for trial in first)
    assert [trial.proposal.info["trial"] for trial in first] == [trial.number for trial in brought]
    assert study.best.values[study.objectives[0].name] >= max(t.values[study.objectives[0].name] for t in brought)


def test_nothing_is_trained_again_and_the_strategy_observes_it(tmp_path):
    trained, observed = [], []

    class Counting(SyntheticEvaluator):
        @nas.hookimpl
        def evaluate(self, run):
            trained.append(run.trial.architecture.key)
            return super().evaluate(run)

    class Watching:
        @nas.hookimpl
        def propose(self, study, count):
            return [study.proposal(study.space.sample(study.rng("w", study.proposed)))]

        @nas.hookimpl
        def observe(self, study, trial):
            observed.append(trial.number)

    keys = {"space": SyntheticSpace(), "evaluator": Counting(), "rehearse": False, "progress": False}
    first = nas.search(**keys, trials=5, storage=tmp_path / "a.sqlite")
    before = len(trained)
    count = len(distinct(tmp_path / "a.sqlite"))
    nas.search(**keys, strategy=Watching(), seed=1, trials=count + 4, warm_start=tmp_path / "a.sqlite")
    assert len(trained) - before <= 4
    assert observed == list(range(count + 4))
    assert not {trial.architecture.key for trial in first.trials} & set(trained[before:])


def test_it_resumes_without_the_other_study(working, other, outcome, tmp_path):
    count = len(distinct(other))
    evolution = STRATEGIES[2]
    here = {"storage": str(tmp_path / "new.sqlite")}
    run_spec(working(evolution, trials=count + 3, run=here), warm_start=other)
    whole = run_spec(working(evolution, trials=count + 8), warm_start=other)
    other.unlink()
    resumed = run_spec(working(evolution, trials=count + 8, run=here))
    again = run_spec(working(evolution, trials=count + 8, run=here), warm_start=other)

    def of(study):
        records = outcome(study)
        for record in records:
            record["artifacts"] = record["checksums"] = None
        return records

    assert of(resumed) == of(whole) == of(again)


def test_a_study_that_has_begun_is_refused(working, other, tmp_path):
    here = {"storage": str(tmp_path / "new.sqlite")}
    run_spec(working(trials=3, run=here))
    with pytest.raises(SpecError, match="has begun without a warm start"):
        run_spec(working(trials=30, run=here), warm_start=other)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"epochs": 4}, r"budget.epochs was 3 and is 4"),
        ({"evaluator": {"class_path": "nasplug.testing.SyntheticEvaluator", "init_args": {"noise": 0.5}}}, "noise"),
        ({"objectives": {"val_acc": "max", "speed": "max"}}, "speed"),
    ],
)
def test_results_of_something_else_are_refused(working, other, keys, words):
    with pytest.raises(SpecError, match=words):
        run_spec(working(trials=60, **keys), warm_start=other)


def test_another_space_is_refused(working, other):
    spec = working(trials=60).replace(space=nas.component("synthetic"))
    with pytest.raises(SpecError):
        run_spec(spec, warm_start=other)
    with pytest.raises(SpecError, match="space"):
        nas.search(space=SyntheticSpace(), evaluator=SyntheticEvaluator(), trials=60, epochs=3, warm_start=other)


def test_a_budget_that_leaves_nothing_to_search_is_refused(working, other):
    count = len(distinct(other))
    with pytest.raises(SpecError, match=f"set budget.trials to more than {count}"):
        run_spec(working(trials=count), warm_start=other)


def test_a_file_that_is_not_there(working, tmp_path):
    with pytest.raises(StorageError):
        run_spec(working(trials=60), warm_start=tmp_path / "none.sqlite")


def test_files_come_along(tmp_path):
    class Writing(SyntheticEvaluator):
        @nas.hookimpl
        def evaluate(self, run):
            evaluation = super().evaluate(run)
            (run.folder / "weights.txt").write_text(f"weights of {run.trial.architecture.key}")
            return nas.Evaluation(evaluation.metrics, artifacts={"weights": run.artifact(run.folder / "weights.txt")})

    keys = {"space": SyntheticSpace(), "evaluator": Writing(), "progress": False}
    first = nas.search(**keys, trials=4, storage=tmp_path / "a.sqlite")
    damaged = first.trials[1]
    (first.artifacts() / damaged.artifacts["weights"]).write_text("something else")
    second = nas.search(**keys, trials=9, seed=1, storage=tmp_path / "b.sqlite", warm_start=tmp_path / "a.sqlite")
    for trial in second.trials[:4]:
        if trial.architecture.key == damaged.architecture.key:
            assert trial.artifacts == {}
        else:
            text = (second.artifacts() / trial.artifacts["weights"]).read_text()
            assert text == f"weights of {trial.architecture.key}"


def test_the_command_line(tmp_path, capsys, toy_path):
    spec = f"""
space: toy
strategy: climb
evaluator: {{toy: {{}}}}
budget: {{trials: 5}}
plugins: [{toy_path}]
"""
    (tmp_path / "spec.yaml").write_text(spec)
    words = ["run", str(tmp_path / "spec.yaml"), "--set", f"run.storage={tmp_path}/a.sqlite"]
    assert main(words) == 0
    words = [
        "run",
        str(tmp_path / "spec.yaml"),
        "--set",
        f"run.storage={tmp_path}/b.sqlite",
        "--set",
        "budget.trials=9",
    ]
    assert main([*words, "--warm-start", f"{tmp_path}/a.sqlite"]) == 0
    study = nas.load_study(tmp_path / "b.sqlite")
    assert study.trials[0].proposal.info["origin"] == "warm start"
    assert len(study.trials) == 9
