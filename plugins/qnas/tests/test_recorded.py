"""The same specification gives the same trials as before ranges had one grammar; compared with a recording."""

import hashlib
import json
from pathlib import Path

import pytest

from nasplug.testing import SyntheticSpace
from nasplug.testing.search import run_search

#: Written with the version before; `python plugins/qnas/tests/test_recorded.py` writes it anew.
RECORDED = Path(__file__).with_name("recorded.json")
FLOATS = {"lr": [1e-4, 1e-1, "log"], "momentum": [0.0, 0.999]}
SEARCHES = {
    "strong": {"qnas": {"preset": "segqnas2023", "hyperparameters": {**FLOATS, "optimizer": "sgd"}}},
    "cifar2022": {"qnas": {"preset": "cifar2022", "hyperparameters": FLOATS}},
    "table": {"qnas": {"preset": "table", "hyperparameters": {"decay": [0.1, 0.999]}}},
    "architecture": {"qnas": {"preset": "table", "evolution": {"redraws": 0}}},
}


def record(name):
    study = run_search(SEARCHES[name], space=SyntheticSpace(), trials=60, epochs=3, seed=4, batch=5)
    lines = []
    for trial in study.trials:
        given = sorted(trial.hyperparameters.items())
        shown = [(key, float(f"{value:.9g}") if isinstance(value, float) else value) for key, value in given]
        lines.append(json.dumps([trial.architecture.key, shown]))
    return {"sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(), "first": lines[0], "last": lines[-1]}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_gives_the_recorded_trials(name):
    assert record(name) == json.loads(RECORDED.read_text())[name]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: record(name) for name in SEARCHES}, indent=1) + "\n")
