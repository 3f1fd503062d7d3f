"""The archives of NAS-Bench-201 and NATS-Bench in their three layouts."""

from __future__ import annotations

import bz2
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from nasplug_tables import nasbench201
from nasplug_tables.readers import read_table
from official_files import arch_state, arch_string, run_state

from nasplug.contract.errors import DataError

CELLS = ("303101", "000000", "423222")
NUMBERS = [nasbench201.numbers()[cell] for cell in CELLS]


def runs_of(cell: str, epochs: int, seeds: tuple[int, ...], **changes) -> dict:
    """Trainings of one cell on all datasets; the values tell where they come from."""
    place, runs = CELLS.index(cell), {}
    for seed in seeds:
        low = place + seed / 1000
        for dataset, classes, accuracies in [
            ("cifar10-valid", 10, {"x-valid": 60 + low, "ori-test": 1.0}),
            ("cifar10", 10, {"ori-test": 70 + low}),
            ("cifar100", 100, {"x-valid": 40 + low, "x-test": 45 + low, "ori-test": 2.0}),
            ("ImageNet16-120", 120, {"x-valid": 20 + low, "x-test": 25 + low, "ori-test": 3.0}),
        ]:
            size = np.float64(nasbench201.parameters(cell, classes) / 1e6)
            times = OrderedDict((epoch, 2.0 + place) for epoch in range(epochs))
            runs[dataset, seed] = {**run_state(size, epochs, seed, accuracies, times), **changes}
    return runs


def states_of(cell: str, keys=("12", "200"), **changes) -> dict:
    number, seeds = nasbench201.numbers()[cell], (777, 888, 999) if cell == CELLS[0] else (777, 999)
    return OrderedDict(
        {
            keys[0]: arch_state(number, cell, runs_of(cell, 12, (111, 777), **changes)),
            keys[1]: arch_state(number, cell, runs_of(cell, 20, seeds, **changes)),
        }
    )


def archive(keys=("12", "200")) -> dict:
    return {
        "meta_archs": [arch_string(cell) for cell in nasbench201.cells()[:50]],
        "arch2infos": OrderedDict((number, states_of(cell, keys)) for number, cell in zip(NUMBERS, CELLS, strict=True)),
        "evaluated_indexes": set(NUMBERS),
    }


def write_pickle(path, value) -> None:
    with bz2.open(path, "wb") as file:
        pickle.dump(value, file, protocol=4)


@pytest.fixture
def one_file(tmp_path):
    write_pickle(tmp_path / "NATS-tss-v1_0-00000.pickle.pbz2", archive())
    return tmp_path / "NATS-tss-v1_0-00000.pickle.pbz2"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "NATS-tss-v1_0-00000-simple"
    path.mkdir()
    write_pickle(path / "meta.pickle.pbz2", {"meta_archs": archive()["meta_archs"]})
    for number, cell in zip(NUMBERS, CELLS, strict=True):
        write_pickle(path / f"{number:06d}.pickle.pbz2", states_of(cell))
    return path


@pytest.fixture
def torch_file(tmp_path):
    torch = pytest.importorskip("torch")
    value = archive(("less", "full"))
    value["arch2infos"][NUMBERS[0]]["full"]["all_results"]["cifar10", 777]["net_state_dict"] = {"w": torch.ones(2)}
    torch.save(value, tmp_path / "NAS-Bench-201-v1_1-000000.pth", _use_new_zipfile_serialization=False)
    return tmp_path / "NAS-Bench-201-v1_1-000000.pth"


def check(table, dataset: str) -> None:
    validation, test = {"cifar10": (60, 70), "cifar100": (40, 45), "ImageNet16-120": (20, 25)}[dataset]
    order = [sorted(NUMBERS).index(number) for number in NUMBERS]
    assert table.column("index").tolist() == sorted(NUMBERS)
    assert [text.decode() for text in table.column("ops")[order]] == list(CELLS)
    sizes = [nasbench201.parameters(cell, nasbench201.CLASSES[dataset]) for cell in CELLS]
    assert table.column("params")[order].tolist() == sizes
    assert table.info["seeds"] == {"12": [111, 777], "20": [777, 888, 999]}
    for budget, seeds in {12: [111, 777], 20: [777, 888, 999]}.items():
        for position, seed in enumerate(seeds):
            for metric, base in (("val_acc", validation), ("test_acc", test)):
                expected = [base + place + seed / 1000 for place in range(3)]
                if seed == 888:
                    expected[1:] = [np.nan, np.nan]
                np.testing.assert_allclose(table.column(f"{metric}_{budget}_seed{position}")[order], expected)
        assert table.column(f"train_time_{budget}")[order].tolist() == [budget * (2.0 + place) for place in range(3)]
    np.testing.assert_allclose(table.column("latency"), 0.02)
    assert table.info["unit"] == "percent"


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_one_file(one_file, dataset):
    check(read_table("nats", one_file, dataset), dataset)


def test_a_folder(folder):
    check(read_table("nats", folder, "cifar10"), "cifar10")


def test_a_torch_file(torch_file):
    check(read_table("nats", torch_file, "cifar100"), "cifar100")


def test_a_zipped_torch_file(torch_file):
    torch = pytest.importorskip("torch")
    torch.save(archive(("less", "full")), torch_file)
    check(read_table("nats", torch_file, "cifar10"), "cifar10")


def test_times_and_latencies_that_were_not_measured(tmp_path):
    path = tmp_path / "small.pickle.pbz2"
    states = states_of(CELLS[1], train_times=None, latency=None)
    write_pickle(path, {"arch2infos": {NUMBERS[1]: states}})
    table = read_table("nats", path, "cifar10")
    assert "train_time_12" not in table.columns
    assert np.isnan(table.columns.get("latency", np.array([np.nan]))).all()


def test_trainings_of_another_cell_are_left_out(tmp_path):
    path = tmp_path / "small.pickle.pbz2"
    states = states_of(CELLS[0])
    states["200"]["all_results"]["cifar10-valid", 888]["params"] = 0.073306
    write_pickle(path, {"arch2infos": {NUMBERS[0]: states}})
    table = read_table("nats", path, "cifar10")
    assert {name for name in table.columns if "acc_20" in name} == {
        "val_acc_20_seed0", "val_acc_20_seed2", "test_acc_20_seed0", "test_acc_20_seed1", "test_acc_20_seed2",
    }  # fmt: skip
    assert table.column("train_time_20").tolist() == [40.0]


class Evil:
    def __reduce__(self):
        return eval, ("1 + 1",)


def test_files_with_orders_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    value = {"arch2infos": {0: Evil()}}
    write_pickle(tmp_path / "a.pickle.pbz2", value)
    with pytest.raises(DataError, match=r"names builtins\.eval, which plain data do not need"):
        read_table("nats", tmp_path / "a.pickle.pbz2", "cifar10")
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(DataError, match="the file is not an archive"):
        read_table("nats", tmp_path / "a.pth", "cifar10")


def without(key: str) -> dict:
    states = states_of(CELLS[0])
    for run in states["12"]["all_results"].values():
        run.pop(key)
    return states


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"meta_archs": []}, "no key 'arch2infos'"),
        ({"arch2infos": {}}, "holds no training on cifar10"),
        ({"arch2infos": {0: {"12": 3}}}, "its states are not those of"),
        ({"arch2infos": {0: {"12": {"arch_str": "|conv~0|", "all_results": {}}}}}, "cannot read the cell"),
        ({"arch2infos": {0: without("epochs")}}, "KeyError: 'epochs'"),
        ({"arch2infos": {0: states_of(CELLS[0], params=17.0)}}, "do not match in 10 of 10 runs"),
    ],
)
def test_foreign_archives(tmp_path, value, says):
    write_pickle(tmp_path / "a.pickle.pbz2", value)
    with pytest.raises(DataError, match=f"(?s){says}"):
        read_table("nats", tmp_path / "a.pickle.pbz2", "cifar10")


def test_damaged_and_missing_archives(tmp_path, one_file):
    one_file.write_bytes(one_file.read_bytes()[:-200])
    with pytest.raises(DataError, match="the file is not an archive"):
        read_table("nats", one_file, "cifar10")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(DataError, match="the file is not an archive"):
        read_table("nats", tmp_path / "text.pth", "cifar10")
    with pytest.raises(DataError, match="no such file or folder"):
        read_table("nats", tmp_path / "nowhere", "cifar10")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no"):
        read_table("nats", tmp_path / "empty", "cifar10")


@pytest.mark.parametrize(("off", "foreign"), [(0, 0), (1, 1), (-1, 1), (40, 1)])
def test_a_training_of_another_cell_differs_by_a_parameter_or_more(off, foreign):
    """Sizes are stored in millions, as numbers that are rounded a little."""
    from nasplug_tables.readers.nats import _Trainings

    reader = _Trainings("cifar10")
    cell = CELLS[0]
    size = nasbench201.parameters(cell, 10) + off + 0.01
    run = run_state(np.float64(size / 1e6), 12, 777, {"x-valid": 60.0}, OrderedDict())
    reader.cells[NUMBERS[0]] = cell
    reader._add_run(NUMBERS[0], "val_acc", "x-valid", 777, run)
    assert (reader.read, reader.foreign) == (1, foreign)
    assert bool(reader.values) == (not foreign), "values of another cell"
