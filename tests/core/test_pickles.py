"""No pickle is read but the one that a driver makes for its workers: every place of the sources is listed here."""

from __future__ import annotations

import ast
import os
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.executors.bootstrap import Bootstrap
from nasplug.run.spec import RunSpec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace

ROOT = Path(__file__).resolve().parents[2]
#: Libraries whose `load`, `loads`, `open`, `Unpickler` and the like make objects of whatever the bytes say.
LIBRARIES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}
HARMLESS = ("dumps", "dump", "PicklingError", "UnpicklingError", "HIGHEST_PROTOCOL")
#: Functions that unpickle unless they are told not to: the argument, and what it has to be.
TOLD = {
    **{"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)},
    **{"np.memmap": (None, None), "torch.jit.load": (None, None), "torch.package.PackageImporter": (None, None)},
}
#: Where bytes become objects: in a process that this very run has started, from its driver's memory.
KNOWN = {
    ("nasplug/run/executors/bootstrap.py", "pickle.loads"): 1,
    ("plugins/tables/nasplug_tables/bench/runner.py", "pickle.loads"): 1,
    # Between the driver and actors that it has created, through the cluster that the person named.
    ("plugins/ray/nasplug_ray/actors.py", "pickle.loads"): 3,
    ("plugins/ray/nasplug_ray/hands.py", "pickle.loads"): 2,
    # Plain data and arrays alone: tests/data/test_cifar.py, plugins/tables/tests.
    ("nasplug/data/pickles.py", "pickle.Unpickler"): 1,
    ("plugins/tables/nasplug_tables/readers/plain_pickle.py", "pickle.Unpickler"): 1,
}


def places(file: str, source: str) -> list[tuple[str, str]]:
    """File and name of everything that may unpickle."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in LIBRARIES:
            found += [(file, f"{node.module}.{name.name}") for name in node.names if "dump" not in name.name]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr not in HARMLESS:
            found += [(file, f"{node.value.id}.{node.attr}")] if node.value.id in LIBRARIES else []
        if isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "fromfile_pickle", "add_safe_globals"):
            found.append((file, ast.unparse(node)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in TOLD:
            key, value = TOLD[ast.unparse(node.func)]
            said = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if key is None or said.get(key) is not value:
                found.append((file, ast.unparse(node.func)))
    return found


def test_every_place_that_could_unpickle_is_known():
    found: Counter[tuple[str, str]] = Counter()
    for path in sorted([*(ROOT / "nasplug").rglob("*.py"), *(ROOT / "plugins").glob("*/nasplug_*/**/*.py")]):
        file = path.relative_to(ROOT).as_posix()
        found.update(places(file, path.read_text()))
    assert dict(found) == KNOWN


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle\npickle.load(f)", "import dill\ndill.loads(b)", "from pickle import loads", "joblib.load(p)"),
        *("torch.load(p)", "torch.load(p, weights_only=False)", "np.load(p)", "np.load(p, allow_pickle=True)"),
        *("shelve.open(p)", "pd.read_pickle(p)", "class A(pickle.Unpickler): ...", "torch.jit.load(p)"),
    ],
)
def test_a_new_place_would_be_seen(line):
    assert places("a.py", line)


@pytest.mark.parametrize("line", ["torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)", "json.load(f)"])
def test_what_reads_data_alone_is_left_out(line):
    assert not places("a.py", line)


def test_the_bytes_of_a_worker_are_those_that_its_driver_made(tmp_path, monkeypatch):
    """A worker composed from a study's own words gets the driver's objects and nothing that a file holds."""
    space, evaluator = SyntheticSpace(), SyntheticEvaluator()
    objects = {"space": space, "evaluator": evaluator}
    given = {"space": "given", "evaluator": "given", "strategy": "random", "budget": {"trials": 1}}
    assembly = compose(RunSpec.parse(given), discover().catalog, objects)
    made = Bootstrap.of(assembly, tmp_path, objects)
    assert pickle.dumps(objects) == made.objects
    seen = []
    monkeypatch.setattr("nasplug.run.executors.bootstrap.pickle.loads", lambda data: seen.append(data) or objects)
    monkeypatch.setattr("nasplug.run.executors.bootstrap.enter", lambda environment, threads: None)
    made.worker()
    assert seen == [made.objects]


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_no_pickle_is_kept_and_none_that_lies_about_is_read(tmp_path):
    """Every file of a search in worker processes is something else; payloads put beside and into it stay unread."""
    mark, path = tmp_path / "executed", tmp_path / "s.sqlite"
    search = {"space": SyntheticSpace(), "evaluator": SyntheticEvaluator(), "executor": "process", "storage": path}
    study = nas.search(**search, trials=3)
    folder = study.artifacts()
    for file in [path, *folder.rglob("*")]:
        if file.is_file():
            head = file.read_bytes()
            assert head[:1] != b"\x80", file
            assert not zipfile.is_zipfile(file), file
    folder.mkdir(exist_ok=True)
    payload = pickle.dumps(Payload(mark))
    for name in ("objects", "objects.pkl", "task.pickle", "space", "bootstrap.pkl", "snapshot"):
        (folder / name).write_bytes(payload)
        (tmp_path / name).write_bytes(payload)
    storage = SQLiteStorage(path)
    storage.write_meta({"payload": payload.decode("latin-1"), "pickled": payload.hex()})
    storage.close()
    assert len(nas.search(**search, trials=6).trials) == 6
    assert not mark.exists()
    pickle.loads(payload)
    assert mark.exists()  # it would have been seen
