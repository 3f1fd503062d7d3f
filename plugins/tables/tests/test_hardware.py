"""Tables of measured hardware as targets, and columns of tables as costs."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_tables import nasbench201
from nasplug_tables.hardware import TableCost, TableHardware, devices_of
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench101.enumeration import all_cells
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.table import Table

import nasplug as nas
from nasplug.contract.errors import DataError, NasplugError, SpecError, TrialError
from nasplug.cost.candidate import Candidate
from nasplug.testing import CostConformance, TargetConformance

SPACE = NASBench201()
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def candidate_of(cell: str) -> Candidate:
    """A cell that must be priced without its network."""
    architecture = SPACE.architecture(tuple(OPERATIONS[int(digit)] for digit in cell))
    return Candidate(lambda: pytest.fail("the network was built"), (3, 8, 8), architecture=architecture, space=SPACE)


def ranked(scale: float) -> np.ndarray:
    """A value for every cell of NAS-Bench-201 by its number."""
    return np.arange(15_625, dtype=np.float32) * scale


@pytest.fixture
def hw(tmp_path) -> str:
    """A table like HW-NAS-Bench, which names cells by their number only, in any order."""
    order = np.random.default_rng(0).permutation(15_625)
    columns = {
        "index": np.arange(15_625, dtype=np.int32),
        "eyeriss_latency": ranked(0.5),
        "eyeriss_energy": ranked(2.0),
        "eyeriss_arithmetic_intensity": ranked(0.25),
        "edgetpu_latency": np.where(ranked(1.0) < 100, -1.0, ranked(1.0)),
        "1080ti_1": ranked(4.0),
        "1080ti_32": ranked(8.0),
        "samsung_s7": ranked(1.0),
        "total_us": ranked(1.0),
    }
    table = Table({name: column[order] for name, column in columns.items()})
    return str(table.write(tmp_path / "hw.parquet"))


def target(name: str, **options):
    return TableHardware(**options).hardware_target(name)


CELL = "303101"
NUMBER = nasbench201.numbers()[CELL]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (
            "eyeriss",
            {
                "latency_s": NUMBER * 0.5e-3,
                "energy_j": NUMBER * 2e-3,
                "arithmetic_intensity_ops_per_bit": NUMBER * 0.25,
            },
        ),
        ("1080ti_32", {"latency_s": NUMBER * 8e-3}),
        ("samsung_s7", {"latency_s": NUMBER * 1e-3}),
        ("total_us", {"total_s": NUMBER * 1e-6}),
    ],
)
def test_devices_in_seconds_and_joules(hw, device, expected):
    found = target(f"table:{hw}#{device}")
    assert found.name == f"table:{hw}#{device}"
    assert found.estimate(candidate_of(CELL)) == pytest.approx(expected)


def test_a_device_that_cannot_run_a_cell_fails_the_trial(hw):
    found = target(f"table:{hw}#edgetpu")
    assert found.estimate(candidate_of(nasbench201.cells()[100])) == {"latency_s": pytest.approx(0.1)}
    with pytest.raises(TrialError, match=r"edgetpu has no latency_s of .*none") as error:
        found.estimate(candidate_of(next(cell for cell in nasbench201.cells()[:100] if "0" in cell)))
    assert error.value.kind == "data"
    assert "does not support" in str(error.value)


def test_devices_are_listed(hw):
    assert devices_of(Table.read(hw)) == ["eyeriss", "edgetpu", "1080ti_1", "1080ti_32", "samsung_s7", "total_us"]


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("#eyeris", "did you mean 'eyeriss'"),
        ("#1080ti", "did you mean '1080ti_1'"),
        ("#samsung", "did you mean 'samsung_s7'"),
        ("#index", "no device 'index'"),
        ("", "names no device"),
        ("#eyeriss,batch=3", "no option 'batch=3'"),
        ("#eyeriss,index=nowhere.parquet", "no such file"),
    ],
)
def test_bad_names(hw, variant, says):
    with pytest.raises(NasplugError, match=says):
        target(f"table:{hw}{variant}")
    assert target("cpu") is None


def test_rows_of_other_spaces_and_bare_networks(hw, tmp_path):
    found = target(f"table:{hw}#eyeriss")
    with pytest.raises(SpecError, match="a bare network is in no table"):
        found.estimate(Candidate(lambda: None, (3, 8, 8)))
    space = NASBench101()
    cell = space.sample(np.random.default_rng(0))
    with pytest.raises(SpecError, match="counts the rows of another table of nasbench101"):
        found.estimate(Candidate(lambda: None, (3, 8, 8), architecture=cell, space=space))
    stated = Table({"index": np.arange(3), "a_latency": np.ones(3)}, {"space": "nasbench301"})
    other = target(f"table:{stated.write(tmp_path / 'other.parquet')}#a")
    with pytest.raises(SpecError, match="'nasbench301', not 'nasbench201'"):
        other.estimate(candidate_of(CELL))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"a_latency": np.ones(2)}, "neither the columns ops nor the column index"),
        ({"index": np.array([0, 15_625]), "a_latency": np.ones(2)}, "numbers from 0 to 15624"),
        ({"index": np.array([0.0, 1.0]), "a_latency": np.ones(2)}, "numbers from 0 to 15624"),
    ],
)
def test_tables_whose_rows_are_not_named(tmp_path, columns, says):
    path = Table(columns).write(tmp_path / "bad.parquet")
    with pytest.raises(DataError, match=says):
        target(f"table:{path}#a").estimate(candidate_of(CELL))


def test_rows_that_count_another_table(tmp_path):
    space, cells = NASBench101(), all_cells()
    rows = [cells.cell(index) for index in (5, 40_000, 400_000)]
    numbered = Table(
        {
            "num_vertices": np.array([cell.vertices for cell in rows], np.uint8),
            "adj_bits": np.array([cell.bits for cell in rows], np.uint32),
            "ops": np.array(["".join(map(str, cell.operations)) for cell in rows], dtype="S"),
        }
    ).write(tmp_path / "cells.parquet")
    energy = Table({"index": np.array([2, 0]), "energy_kwh": np.array([0.5, 0.25])}).write(tmp_path / "e.parquet")
    architectures = [space.architecture((cell.bits, "".join(map(str, cell.operations)))) for cell in rows]
    candidates = [Candidate(lambda: None, (3, 8, 8), architecture=item, space=space) for item in architectures]
    for found in (
        target(f"table:{energy}#energy_kwh,index={numbered}"),
        target(f"table:{energy}#energy_kwh", index=str(numbered)),
    ):
        assert found.estimate(candidates[2]) == {"energy_j": 1.8e6}
        assert found.estimate(candidates[0]) == {"energy_j": 0.9e6}
        with pytest.raises(TrialError, match="the table has no row for"):
            found.estimate(candidates[1])
    cost = TableCost(str(energy), ["energy_kwh"], index=str(numbered))
    assert cost.cost(candidates[0]) == {"column/energy_kwh": 0.25}


def test_columns_as_costs(tmp_path):
    cells = [b"303101", b"000000"]
    path = Table({"ops": np.array(cells), "synflow": np.array([17.5, np.nan]), "zen": np.array([-3, 4])}).write(
        tmp_path / "proxies.parquet"
    )
    cost = TableCost(str(path), ["synflow", "zen"])
    assert cost.cost(candidate_of("303101")) == {"column/synflow": 17.5, "column/zen": -3.0}
    with pytest.raises(TrialError, match="there is no column/synflow"):
        cost.cost(candidate_of("000000"))
    with pytest.raises(TrialError, match="the table has no row"):
        cost.cost(candidate_of("111111"))


def test_bad_costs(hw):
    with pytest.raises(DataError, match="did you mean 'eyeriss_latency'"):
        TableCost(hw, ["eyeris_latency"])
    with pytest.raises(SpecError, match="no columns are named"):
        TableCost(hw, [])
    with pytest.raises(DataError, match="no such file"):
        TableCost("nowhere.parquet", ["a"])


class Task:
    input_shape, outputs, objectives = (1, 8, 8), 3, {"val_acc": "max"}


@pytest.fixture(scope="module", autouse=True)
def shared_table(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "hw.parquet"
    Table({"index": np.arange(15_625), "chip_latency": ranked(1.0), "chip_energy": ranked(1.0)}).write(path)
    TestTarget.names = (f"table:{path}#chip",)
    TestCost.path = str(path)


class TestTarget(TargetConformance):
    def make_target(self):
        return TableHardware()

    def make_space(self):
        return NASBench201(channels=2, cells=1)

    def make_task(self):
        return Task()


class TestCost(CostConformance):
    name = "column"
    path = ""

    def make_cost(self):
        return TableCost(self.path, ["chip_latency", "chip_energy"])

    def make_space(self):
        return NASBench201(channels=2, cells=1)

    def make_task(self):
        return Task()


@pytest.mark.data
def test_real_tables(real_data):
    hw = real_data / "hwnasbench201" / "cifar10.parquet"
    found = target(f"table:{hw}#eyeriss").estimate(candidate_of(CELL))
    row = Table.read(hw).column("index").tolist().index(NUMBER)
    assert found["latency_s"] == pytest.approx(float(Table.read(hw).column("eyeriss_latency")[row]) / 1e3)
    assert found["energy_j"] == pytest.approx(float(Table.read(hw).column("eyeriss_energy")[row]) / 1e3)
    fpga = target(f"table:{hw}#fpga").estimate(candidate_of(CELL))["latency_s"]
    helped = target(f"table:{real_data / 'help_latency201' / 'latency.parquet'}#fpga").estimate(candidate_of(CELL))
    assert helped["latency_s"] == pytest.approx(fpga, rel=0.01)  # two groups, one device
    unsupported = int(np.flatnonzero(Table.read(hw).column("edgetpu_latency") < 0)[0])
    cell = nasbench201.cells()[Table.read(hw).column("index")[unsupported]]
    with pytest.raises(TrialError, match="edgetpu has no latency_s"):
        target(f"table:{hw}#edgetpu").estimate(candidate_of(cell))


@pytest.mark.data
def test_real_energy_of_nasbench101(real_data):
    energy = real_data / "ecnas_energy101" / "energy.parquet"
    cells = real_data / "nasbench101" / "nasbench101.parquet"
    found = target(f"table:{energy}#energy_kwh,index={cells}")
    table, names = Table.read(energy), Table.read(cells)
    space = NASBench101()
    for position in (0, 2000, 4309):
        row = table.column("index")[position]
        cell = space.architecture((int(names.column("adj_bits")[row]), names.column("ops")[row].decode()))
        candidate = Candidate(lambda: None, (3, 32, 32), architecture=cell, space=space)
        assert found.estimate(candidate) == {"energy_j": pytest.approx(3.6e6 * table.column("energy_kwh")[position])}


@pytest.mark.data
def test_the_numbering_of_nasbench201(real_data):
    for dataset in ("cifar10", "cifar100"):
        table = Table.read(real_data / "nasbench201" / f"{dataset}.parquet")
        cells = nasbench201.cells()
        assert all(cells[number] == text.decode() for number, text in
                   zip(table.column("index"), table.column("ops"), strict=True))  # fmt: skip


def test_the_numbering_leaves_the_shared_generator_alone():
    import random

    random.seed(5)
    expected = random.random()
    random.seed(5)
    nasbench201.cells.cache_clear()
    assert len(set(nasbench201.cells())) == 15_625
    assert random.random() == expected
    assert nasbench201.cells()[:3] == ("421211", "334131", "433444")  # published


def test_a_search_priced_by_a_table(hw, tmp_path):
    results = Table(
        {"ops": np.array(nasbench201.cells(), dtype="S"), "val_acc_200": ranked(0.001)}, {"space": "nasbench201"}
    )
    path = results.write(tmp_path / "results.parquet")
    study = nas.search(
        space="nasbench201",
        evaluator=nas.component("tabular", path=str(path)),
        trials=20,
        seed=1,
        objectives={"val_acc": "max", "table/energy_j": "min"},
        constraints=["table/latency_s <= 4"],
        target=f"table:{hw}#eyeriss",
        progress=False,
    )
    states = set()
    for trial in study.trials:
        number = nasbench201.numbers()["".join(str(OPERATIONS.index(name)) for name in trial.architecture.genotype)]
        assert trial.costs["table/latency_s"] == pytest.approx(number * 0.5e-3)
        assert trial.costs["table/energy_j"] == pytest.approx(number * 2e-3)
        assert trial.state == ("complete" if number <= 8000 else "pruned")
        states.add(trial.state)
    assert states == {"complete", "pruned"}
