"""The results of a table: runs by metric and epochs, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_tables import Table
from nasplug_tables.results import collect, missing, numbers

from nasplug.contract.errors import DataError

NAN = float("nan")


def table(**columns):
    return Table({name: np.array(values) for name, values in columns.items()})


def test_runs_go_before_their_mean():
    runs = collect(table(acc_9=[0.0, 0.0], acc_9_seed1=[3.0, 4.0], acc_9_seed0=[1.0, 2.0], loss_9=[5, 6], width=[1, 2]))
    assert {name: {epochs: [run.tolist() for run in of] for epochs, of in by.items()} for name, by in runs.items()} == {
        "acc": {9: [[1.0, 2.0], [3.0, 4.0]]},
        "loss": {9: [[5.0, 6.0]]},
    }


def test_rows_without_results_are_counted_after_the_longest_training():
    runs = collect(
        table(acc_1=[NAN, NAN, 1.0], acc_2_seed0=[1.0, NAN, NAN], acc_2_seed1=[1.0, 2.0, NAN], loss_2=[1, 2, 3])
    )
    assert missing(runs) == {"acc": 1}


@pytest.mark.parametrize(
    ("values", "why"),
    [([b"1", b"n/a"], "such as 'n/a'"), ([b"1", b""], "empty cells"), ([b"1", b"2"], "'numbers in quotes'")],
)
def test_text_is_refused(values, why):
    with pytest.raises(DataError, match=f"(?s)'acc_1' holds text.*{why}"):
        numbers(table(acc_1=values), "acc_1")


def test_a_table_of_choices_alone_is_refused():
    with pytest.raises(DataError, match=r"(?s)no results.*width.*METRIC_EPOCHS"):
        collect(table(width=[1, 2]))
