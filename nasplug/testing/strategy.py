"""What every strategy must keep to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from nasplug.builtin.successive_halving import SuccessiveHalving
from nasplug.contract.errors import NasplugError, PluginError, SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Failure, Proposal, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.study import Study
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Outcome
from nasplug.plugins.manager import Manager
from nasplug.run.executors.inline import InlineExecutor
from nasplug.run.jobs import Done, Job
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.search import Interrupted, outcome, run_search
from nasplug.testing.synthetic import SyntheticCost, SyntheticEvaluator, SyntheticSpace

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace, Task

#: Number of trials among which some fail, where two in five do.
ENOUGH = 8


class StrategyConformance:
    """Subclass it, give `make_strategy`, and change the attributes that do not fit.

    Attributes:
        trials: Length of the test searches; enough for the strategy to do everything it can do.
        epochs: Budget of the run, for strategies that divide it.
        stochastic: Whether another seed must give other trials.
        several_objectives: Whether it takes more than one objective; if not it must refuse them with a NasplugError.
    """

    trials: ClassVar[int] = 40
    epochs: ClassVar[int] = 9
    stochastic: ClassVar[bool] = True
    several_objectives: ClassVar[bool] = True

    def make_strategy(self) -> Any:
        """A fresh strategy, configured the same way every time."""
        raise NotImplementedError("give make_strategy()")

    def make_space(self) -> SearchSpace:
        """A space that the strategy can search; large enough not to be used up."""
        return SyntheticSpace()

    def make_task(self) -> Task | None:
        """The task, for strategies that train something themselves, or None."""
        return None

    def make_evaluator(self, **trouble: float) -> Any:
        """An evaluator of that space; takes `failing` and `halting` like `SyntheticEvaluator`."""
        return SyntheticEvaluator(noise=0.02, **trouble)

    def search(self, *, trouble: dict[str, float] | None = None, strategy: Any = None, **options: Any) -> Study:
        """A search with fresh parts; `options` as for `nasplug.testing.run_search`."""
        defaults: dict[str, Any] = {
            "space": self.make_space(),
            "evaluator": self.make_evaluator(**trouble or {}),
            "task": self.make_task(),
            "trials": self.trials,
            "epochs": self.epochs,
        }
        return run_search(strategy or self.make_strategy(), **{**defaults, **options})

    def uninterrupted(self, **options: Any) -> list[dict[str, Any]]:
        """What a search gives that nothing interrupts or disturbs; it is done once for all tests of a class.

        Args:
            options: Arguments of `search`.
        """
        key = type(self), repr(sorted(options.items()))
        if key not in _UNINTERRUPTED:
            _UNINTERRUPTED[key] = outcome(self.search(**options))
        return _UNINTERRUPTED[key]

    # -- proposals -----------------------------------------------------------------------------------------------

    def test_proposals_fit_the_space_and_the_count(self) -> None:
        """Every proposal is valid, no call gives more than wanted, and a search in a large space goes to its end."""
        watched = _Watched(self.make_strategy())
        study = self.search(strategy=watched)
        assert len(study.trials) == self.trials, "the strategy ended the search early in a space that is not used up"
        for trial in study.trials:
            study.space.validate(trial.architecture)

    def test_proposals_are_json(self) -> None:
        """Proposals survive the way into a study file and back."""
        for trial in self.search().trials:
            again = Proposal.from_json(json.loads(json.dumps(trial.proposal.to_json())))
            assert again.to_json() == trial.proposal.to_json()

    @pytest.mark.parametrize("batch", [1, 3, 16])
    def test_any_batch(self, batch: int) -> None:
        """The strategy copes with one and with many trials in flight."""
        assert len(self.search(batch=batch).trials) == self.trials

    # -- determinism ---------------------------------------------------------------------------------------------

    def test_equal_seeds_give_equal_trials(self) -> None:
        """The same specification gives the same trials."""
        assert outcome(self.search(seed=5)) == self.uninterrupted(seed=5)

    def test_other_seeds_give_other_trials(self) -> None:
        """The seed reaches the strategy."""
        if not self.stochastic:
            pytest.skip("declared as not stochastic")
        first, second = self.uninterrupted(seed=5), self.uninterrupted(seed=6)
        drawn = [[trial["proposal"]["architecture"] for trial in trials] for trials in (first, second)]
        assert drawn[0] != drawn[1]

    @pytest.mark.parametrize("shuffle", [1, 2, 3])
    def test_the_order_of_finishing_changes_nothing(self, shuffle: int) -> None:
        """Fast and slow workers do not change what is proposed."""
        assert outcome(self.search(shuffle=shuffle)) == self.uninterrupted()

    def test_global_random_generators_are_left_alone(self) -> None:
        """No hook draws from `random`, `numpy.random` or torch."""
        self.search(strategy=_Watched(self.make_strategy()))

    # -- resuming ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("share", [0.05, 0.35, 0.7, 0.95])
    @pytest.mark.parametrize("how", ["replay", "snapshot"])
    def test_a_resumed_run_equals_an_uninterrupted_one(self, how: str, share: float, tmp_path: Path) -> None:
        """A killed driver loses nothing, whether the strategy is restored or replayed."""
        every = 0.0 if how == "snapshot" else 1e9
        trouble = {"failing": 0.2, "halting": 0.1}
        path = tmp_path / "study.sqlite"
        with pytest.raises(Interrupted):
            self.search(
                trouble=trouble, storage=path, stop_after=max(1, round(share * self.trials)), snapshot_every=every
            )
        resumed = self.search(trouble=trouble, storage=path, snapshot_every=every)
        assert outcome(resumed) == self.uninterrupted(trouble=trouble)

    def test_a_longer_run_begins_with_the_shorter_one(self, tmp_path: Path) -> None:
        """A study can be continued beyond its first budget."""
        path = tmp_path / "study.sqlite"
        self.search(storage=path, trials=2)
        self.search(storage=path, trials=self.trials // 2)
        assert outcome(self.search(storage=path)) == self.uninterrupted()

    def test_the_state_is_json_and_exact(self) -> None:
        """`state_dict` is JSON, restores everything, and changes nothing."""
        strategy = self.make_strategy()
        if not (hasattr(strategy, "state_dict") and hasattr(strategy, "load_state_dict")):
            pytest.skip("has no state_dict and load_state_dict, so a resumed run replays it")
        self.search(strategy=strategy)
        text = json.dumps(strategy.state_dict())
        restored = self.make_strategy()
        restored.load_state_dict(json.loads(text))
        assert json.dumps(restored.state_dict()) == text
        assert json.dumps(strategy.state_dict()) == text, "state_dict() changes the strategy"

    # -- inside another strategy, and work -----------------------------------------------------------------------

    def test_inside_another_strategy(self) -> None:
        """Nested, it sees a study of its own, whose trials are numbered from 0 and carry its own facts alone."""
        if self.epochs < 3:
            pytest.skip("needs a budget of at least three epochs to divide")

        def nested(**options: Any) -> Study:
            return self.search(strategy=SuccessiveHalving(self.make_strategy(), eta=3, min_epochs=1), **options)

        try:
            study = nested()
        except (SpecError, PluginError) as error:
            if not _REFUSED.search(str(error)):
                raise
            pytest.skip(f"is not for nesting: {error.what}")
        assert study.trials
        assert outcome(nested(shuffle=2)) == outcome(study)

    def test_work_is_asked_for_once(self, tmp_path: Path) -> None:
        """Equal work has equal arguments; a resumed run, also one that was killed in its middle, asks for the same."""
        watch = _Watching()
        whole = self.search(executor=watch)
        if not watch.works:
            pytest.skip("asks for no work")
        assert len(watch.works) == len(set(watch.works)), "the same work is done twice"
        path = tmp_path / "study.sqlite"
        killed = _Watching(stop_at=len(watch.works))
        with pytest.raises(PluginError) as ended:  # names the executor that raised
            self.search(executor=killed, storage=path, snapshot_every=0.0)
        assert isinstance(ended.value.__cause__, Interrupted), ended.value
        again = _Watching()
        assert outcome(self.search(executor=again, storage=path, snapshot_every=0.0)) == outcome(whole)
        assert again.works[0] == killed.works[-1], "what was interrupted is asked for again first"
        assert not set(again.works) & set(killed.works[:-1]), "finished work is done again"

    def test_work_that_fails(self) -> None:
        """Work that fails has a failure instead of a result: failed trials with a reason, and no end of the run."""
        watch = _Watching(fail=True)
        study = self.search(executor=watch)
        if not watch.works:
            pytest.skip("asks for no work")
        for trial in study.trials:
            assert trial.state in ("complete", "pruned", "failed")
        failed = [trial for trial in study.trials if trial.failure is not None]
        assert failed or len(study.trials) == self.trials, "the search ends, and no trial says why"

    # -- trouble -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("failing", [0.4, 1.0])
    def test_failed_and_stopped_trials(self, failing: float) -> None:
        """Candidates that fail or are stopped are part of life, even when all of them are."""
        states = set[str]()
        more = [0.5, 0.6, 0.7, 0.8, 0.9] if self.trials < ENOUGH and failing < 1 else []  # perhaps none of few fails
        for share in (failing, *more):
            study = self.search(trouble={"failing": share, "halting": 0.2})
            assert study.trials
            states |= {trial.state for trial in study.trials}
            if states > {"failed"}:
                break
        assert states > {"failed"} or failing == 1.0

    @pytest.mark.parametrize("bound", ["units <= 9", "units <= 1", "units <= -1", "val_acc >= 0.75"])
    def test_constraints(self, bound: str) -> None:
        """Broken before training by some, by nearly all and by all candidates, and broken after training."""
        study = self.search(constraints=[bound], costs={"units": SyntheticCost()})
        assert study.trials

    def test_several_objectives(self) -> None:
        """Two objectives under a constraint, or a clear refusal."""
        objectives = {"val_acc": "max", "params": "min"}
        if not self.several_objectives:
            with pytest.raises(NasplugError):
                self.search(objectives=objectives)
            return
        study = self.search(objectives=objectives, constraints=["units <= 14"], costs={"units": SyntheticCost()})
        assert len(study.trials) == self.trials
        assert outcome(study) == outcome(
            self.search(objectives=objectives, constraints=["units <= 14"], costs={"units": SyntheticCost()}, shuffle=1)
        )

    def test_trials_of_others(self, tmp_path: Path) -> None:
        """Enqueued architectures were not proposed by the strategy, and must not confuse it."""
        space = self.make_space()
        rng = Ledger.of(seed=9).view.rng("nasplug.testing.enqueue")
        genotypes = [space.sample(rng).genotype for _ in range(min(6, self.trials - 2))]
        whole = self.search(enqueue=genotypes)
        assert [trial.architecture.genotype for trial in whole.trials[: len(genotypes)]] == genotypes
        assert len(whole.trials) == self.trials
        with pytest.raises(Interrupted):
            self.search(enqueue=genotypes, storage=tmp_path / "s.sqlite", stop_after=min(9, self.trials - 1))
        assert outcome(self.search(enqueue=genotypes, storage=tmp_path / "s.sqlite")) == outcome(whole)

    def test_a_space_that_is_used_up(self) -> None:
        """Repeats, or ends; it must neither fail nor wait for ever."""
        space = self.make_space()
        if not isinstance(space, SyntheticSpace):
            pytest.skip("only the synthetic space can be made small")
        study = self.search(space=SyntheticSpace(length=1), trials=30)
        assert study.trials


#: Outcomes of searches by class and options, see `StrategyConformance.uninterrupted`.
_UNINTERRUPTED: dict[tuple[type, str], list[dict[str, Any]]] = {}
#: What nested studies answer to a strategy that decides budgets or inheritance itself.
_REFUSED = re.compile(r"proposes epochs or a parent|continues trainings itself")


class _Watching(InlineExecutor):
    """Takes note of work, and lets it fail or kills the driver with it.

    Args:
        fail: Whether all work fails.
        stop_at: Number of the piece of work that kills the driver, counted from 1.
    """

    def __init__(self, *, fail: bool = False, stop_at: int | None = None) -> None:
        super().__init__()
        self.works: list[str] = []
        self._failed: list[Done] = []
        self._fail, self._stop_at = fail, stop_at

    def submit(self, job: Job) -> None:
        """Queues the job."""
        if job.work is None:
            super().submit(job)
            return
        self.works.append(job.work.key)
        assert len(self.works) <= 500, "asks for other work every time it is asked, and never proposes"
        if len(self.works) == self._stop_at:
            raise Interrupted
        if self._fail:
            self._failed.append(Outcome(job.work.key, None, Failure("error", "fails by request")))
        else:
            super().submit(job)

    def finished(self) -> list[Done]:
        """Runs the oldest job."""
        if self._failed:
            done, self._failed = self._failed, []
            return done
        return super().finished()


class _Watched:
    """Stands in for a strategy and checks every single call."""

    def __init__(self, strategy: Any) -> None:
        self._manager = Manager([("strategy", strategy)])
        for name in ("requires", "hyperparameters", "keeps_checkpoints"):
            if hasattr(strategy, name):
                setattr(self, name, getattr(strategy, name))

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Asks the strategy."""
        trials, pending = list(study.trials), list(study.pending)
        with untouched_random_state("propose()"):
            proposals: list[Proposal] = self._manager.hook.propose(study=study, count=count)
        assert isinstance(proposals, list), "propose() returns a list; [] means to wait for results"
        assert len(proposals) <= count, (
            f"propose() gave {plural(len(proposals), 'proposal')} when at most {count} were wanted"
        )
        waits = pending or trials or study.working
        assert proposals or waits, "propose() waits for results before there is a trial, or work that was asked for"
        assert (list(study.trials), list(study.pending)) == (trials, pending), "propose() changes the study"
        return proposals

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Tells the strategy."""
        with untouched_random_state("observe()"):
            self._manager.hook.observe(study=study, trial=trial)
