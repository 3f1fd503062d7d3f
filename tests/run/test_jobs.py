"""Jobs have names that another process finds for them too."""

from __future__ import annotations

import pickle

import pytest

from nasplug.contract.records import Architecture, Inherit, Proposal, Trial
from nasplug.ledger.work import Work
from nasplug.run.jobs import Job

TRIAL = Trial(3, Proposal(Architecture("s", ("a", 1), "a1"), {"lr": 0.1}), seed=5)
OTHERS = [
    Job(TRIAL.with_(number=4)),
    Job(TRIAL.with_(seed=6)),
    Job(TRIAL.with_(proposal=Proposal(Architecture("s", ("a", 1), "a1"), {"lr": 0.2}))),
    Job(TRIAL.with_(proposal=Proposal(Architecture("s", ("a", 1), "a1"), {"lr": 0.1}, inherits=Inherit(1)))),
    Job(TRIAL, history=(TRIAL.with_(number=1, state="complete"),)),
    Job(TRIAL, parent=TRIAL.with_(number=1, state="complete")),
    Job(None, Work("package.module:train", {"epochs": 3})),
    Job(None, Work("package.module:train", {"epochs": 4})),
]


@pytest.mark.parametrize("job", [Job(TRIAL), *OTHERS], ids=range(len(OTHERS) + 1))
def test_a_job_has_its_name_elsewhere_too(job):
    read = Job(
        *(None if one is None else type(one).from_json(one.to_json()) for one in (job.trial,)),
        *pickle.loads(pickle.dumps((job.work, job.history, job.parent))),
    )
    assert read.digest == job.digest


def test_other_jobs_have_other_names():
    assert len({job.digest for job in [Job(TRIAL), *OTHERS]}) == len(OTHERS) + 1


def test_what_became_of_earlier_trials_is_not_part_of_it():
    first, second = (Job(TRIAL, parent=TRIAL.with_(number=1, seconds=seconds)) for seconds in (1.0, 2.0))
    assert first.digest == second.digest
