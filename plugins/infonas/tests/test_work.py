"""What the strategies have trained: by whom, how often, and what becomes of a failure."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from nasplug_infonas import work
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import Encoding
from nasplug_infonas.models.vae import GraphVAE, VAESettings
from nasplug_infonas.regressors import make_regressor
from nasplug_infonas.strategies.asking import SMALL_ENCODER, ask_encoder, ask_regressor
from nasplug_infonas.strategies.bo import EmbeddingBO
from nasplug_infonas.strategies.reinforce import EmbeddingReinforce
from nasplug_infonas.strategies.screen import UNSCREENED, Screen

import nasplug as nas
from nasplug.evaluate.workrun import WorkRun, carry_out
from nasplug.ledger.ledger import Ledger
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search
from nasplug.testing.search import outcome

pytestmark = pytest.mark.filterwarnings("ignore:this encoder reconstructs")
SPACE = SyntheticSpace(length=3)


def run(job, emit=None, space=SPACE):
    return WorkRun(job, Ledger.of(space, {"score": "max"}).view, emit=emit)


def strategies():
    """One of each kind, small; every one trains more than an encoder."""
    return {
        "bo": lambda: EmbeddingBO(initial=6, per_round=3, surrogate="dngo"),
        "reinforce": lambda: EmbeddingReinforce(episode=4),
        "screen": lambda: Screen(start=6, factor=3, refit=4),
    }


#: One kind in every run of the tests, the others among the slow ones.
ONE_AND_MORE = [pytest.param(name, marks=[] if name == "bo" else pytest.mark.slow) for name in strategies()]


@pytest.fixture
def broken(monkeypatch):
    """Makes a function of the work fail."""

    def breaks(name, when=lambda arguments: True):
        original = getattr(work, name)

        def function(run, **arguments):
            if when(arguments):
                raise RuntimeError("the machine is tired")
            return original(run, **arguments)

        monkeypatch.setattr(work, name, function)

    return breaks


def test_the_small_encoder_is_trained_once_in_a_process_and_shows_how_far_it_is():
    work._TRAINED.clear()
    space, seen = SyntheticSpace(length=2), []
    first = run(SMALL_ENCODER, lambda share, metrics: seen.append((share, metrics)), space)
    done = carry_out(first)
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1.0
    assert "loss" in seen[0][1]
    assert Embedder.load(first.folder / done.result["file"]).fingerprint == done.result["fingerprint"]
    seen.clear()
    again = carry_out(run(SMALL_ENCODER, lambda share, metrics: seen.append(share), SyntheticSpace(length=2)))
    assert again.result == done.result
    assert seen == [1.0]


def test_the_encoder_does_not_depend_on_the_seeds_of_the_study():
    work._TRAINED.clear()
    first = carry_out(run(SMALL_ENCODER)).result["fingerprint"]
    work._TRAINED.clear()
    assert (
        carry_out(WorkRun(SMALL_ENCODER, Ledger.of(SPACE, {"score": "max"}, seed=9).view)).result["fingerprint"]
        == first
    )


@pytest.mark.parametrize("name", list(strategies()))
def test_nothing_is_trained_in_a_hook(name, monkeypatch):
    """Every training is inside of a piece of work."""
    import torch
    from nasplug_infonas.regressors.dngo import DNGO
    from nasplug_infonas.regressors.process import GaussianProcess

    inside, trained = [], []

    def watched(kind, method):
        original = getattr(kind, method)

        def call(*arguments, **options):
            assert inside, f"{kind.__name__}.{method} outside of work"
            trained.append(method)
            return original(*arguments, **options)

        monkeypatch.setattr(kind, method, call)

    for kind, method in (
        (DNGO, "fit"),
        (GaussianProcess, "fit"),
        (torch.optim.Adam, "step"),
        (torch.Tensor, "backward"),
    ):
        watched(kind, method)
    for function in ("pretrain_encoder", "fit_regressor", "improve_policy"):
        original = getattr(work, function)

        def entered(run, _original=original, **arguments):
            inside.append(True)
            try:
                return _original(run, **arguments)
            finally:
                inside.pop()

        monkeypatch.setattr(work, function, entered)
    work._TRAINED.clear()
    study = run_search(strategies()[name](), space=SyntheticSpace(length=4), trials=14)
    assert len(study.trials) == 14
    assert trained


@pytest.mark.parametrize("make", [EmbeddingBO, EmbeddingReinforce])
def test_without_an_encoder_the_search_ends_with_the_reason(make, broken):
    broken("pretrain_encoder")
    study = run_search(make(), trials=10)
    (trial,) = study.trials
    assert trial.state == "failed"
    assert "RuntimeError: the machine is tired" in trial.failure.message


def test_a_failed_surrogate_makes_a_random_round_that_says_so(broken):
    calls = []
    broken("fit_regressor", lambda arguments: calls.append(1) or len(calls) == 1)
    study = run_search(EmbeddingBO(initial=6, per_round=3), trials=12)
    notes = [trial.proposal.info.get("surrogate") for trial in study.trials]
    assert notes[:6] == [None] * 6
    assert notes[6:9] == ["failed, so this round is random: RuntimeError: the machine is tired"] * 3
    assert notes[9:] == [None] * 3
    assert {trial.state for trial in study.trials} == {"complete"}


def test_a_failed_step_leaves_the_policy_and_says_so(broken):
    broken("improve_policy", lambda arguments: arguments["previous"] is None)
    study = run_search(EmbeddingReinforce(episode=4), trials=12)
    notes = [trial.proposal.info.get("policy") for trial in study.trials]
    assert notes[:4] == [None] * 4
    assert notes[4:] == ["not improved by the last episode: RuntimeError: the machine is tired"] * 8


@pytest.mark.parametrize(("function", "reason"), [("pretrain_encoder", "no encoder"), ("fit_regressor", "predictor")])
def test_screening_that_fails_lets_everything_through_and_says_so(function, reason, broken):
    broken(function)
    study = run_search(Screen(start=5, factor=3, refit=3), trials=12)
    unscreened = [trial.proposal.info.get(UNSCREENED, "") for trial in study.trials]
    assert unscreened[:5] == [""] * 5
    assert all(reason in text and "the machine is tired" in text for text in unscreened[8:])
    plain = run_search("random", trials=12)
    assert [trial.architecture for trial in study.trials] == [trial.architecture for trial in plain.trials]


def test_a_candidate_that_failed_already_is_not_screened_out():
    class Half:
        """Every third proposal has failed."""

        @nas.hookimpl
        def propose(self, study, count):
            failure = nas.contract.records.Failure("error", "no weights")
            numbers = range(study.proposed, study.proposed + count)
            return [
                study.proposal(
                    study.space.sample(study.rng("half", number)),
                    failure=failure if number % 3 == 2 else None,
                    seed=number,
                )
                for number in numbers
            ]

    study = run_search(Screen(Half(), start=4, factor=3), trials=12)
    screened = [trial for trial in study.trials if trial.proposal.info["screened"] == 3]
    assert screened
    assert all(trial.state == "failed" and trial.failure.message == "no weights" for trial in screened)
    assert len({trial.seed for trial in study.trials}) == 12


def test_a_poor_encoder_is_pointed_out():
    encoding = Encoding.of_space(SPACE)
    vae = GraphVAE(len(encoding.labels), encoding.nodes, VAESettings(hidden=4, latent=2, layers=1))
    view = Ledger.of(SPACE, {"score": "max"}).view
    poor = Embedder(encoding, vae, facts={"metrics": {"operation_accuracy": 0.89, "adjacency_accuracy": 0.97}})
    with pytest.warns(UserWarning, match=r"poorly \(operation_accuracy 0.89; good is 0.9 or more\); train it for more"):
        assert ask_encoder(view, poor) is poor
    good = Embedder(encoding, vae, facts={"metrics": {"operation_accuracy": 0.9, "adjacency_accuracy": 0.97}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask_encoder(view, good)
        ask_encoder(view, Embedder(encoding, vae))  # nothing is known of it


@pytest.mark.parametrize("name", ONE_AND_MORE)
def test_processes_and_this_one_give_equal_trials(name):
    options = {"space": SyntheticSpace(length=4), "trials": 14, "batch": 3, "progress": False}
    found = [
        nas.search(evaluator=SyntheticEvaluator(), strategy=strategies()[name](), workers=workers, **options)
        for workers in (1, 2)
    ]
    assert outcome(found[0]) == outcome(found[1])


CHILD = """
import os, signal, sys
import nasplug as nas
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search
sys.path.insert(0, sys.argv[1])
from test_work import strategies

class Deadly(SyntheticEvaluator):
    @nas.hookimpl
    def evaluate(self, run):
        if run.trial.number == 11:
            os.kill(os.getpid(), signal.SIGKILL)
        return SyntheticEvaluator.evaluate(self, run=run)

strategy, space = strategies()[sys.argv[2]](), SyntheticSpace(length=4)
run_search(strategy, space=space, evaluator=Deadly(), trials=16, storage=sys.argv[3])
"""


@pytest.mark.parametrize("name", ONE_AND_MORE)
def test_a_killed_search_resumes_without_training_again(name, tmp_path, broken):
    path = tmp_path / "study.sqlite"
    whole = run_search(strategies()[name](), space=SyntheticSpace(length=4), trials=16)
    arguments = [sys.executable, "-c", CHILD, str(Path(__file__).parent), name, str(path)]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == -9
    broken("pretrain_encoder")  # its outcome is in the file
    resumed = run_search(strategies()[name](), space=SyntheticSpace(length=4), trials=16, storage=path)
    assert outcome(resumed) == outcome(whole)


def test_the_driver_needs_no_torch_before_it_embeds():
    program = (
        "import sys; from nasplug_infonas.strategies import bo, reinforce, screen; "
        "bo.EmbeddingBO(); reinforce.EmbeddingReinforce(); screen.Screen(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_regressor_of_the_work_is_that_of_this_process():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    ledger = Ledger.of(SPACE, {"score": "max"})
    assert ask_regressor(ledger.view, "gp", x, y, seed=0, ranks=True) is None
    (request,) = ledger.requested
    ledger.answer(carry_out(WorkRun(request.work, ledger.view)))
    found = ask_regressor(ledger.view, "gp", x, y, seed=0, ranks=True)
    expected = make_regressor("gp", 0, ranks=True).fit(x, y)
    assert np.array_equal(found.predict(x).mean, expected.predict(x).mean)
