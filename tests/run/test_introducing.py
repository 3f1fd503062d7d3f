"""What a task says of its data is written down beside the trials."""

from __future__ import annotations

from typing import Any

import pytest

import nasplug as nas
from nasplug.testing.synthetic import Shapes, SyntheticEvaluator, SyntheticSpace


class Counted(Shapes):
    """A task that knows how many validation samples it has."""

    samples: Any = {"val_acc": 50}  # noqa: RUF012 (as tasks have it)


class Uncounted(Counted):
    samples = None


@pytest.mark.parametrize(
    ("task", "expected"), [(Counted, {"val_acc": 50}), (Uncounted, {}), (Shapes, {})], ids=["known", "none", "unknown"]
)
def test_samples_are_among_the_facts_of_a_study_and_where_there_are_none_nothing_is(task, expected, tmp_path):
    path = tmp_path / "s.sqlite"
    study = nas.search(
        task=task((1, 4, 4), 3), space=SyntheticSpace(), evaluator=SyntheticEvaluator(), trials=2, storage=path
    )
    assert study.meta.get("samples") == expected
    stored = nas.load_study(path, objects={"task": task((1, 4, 4), 3), "space": SyntheticSpace()})
    assert stored.meta.get("samples") == expected
