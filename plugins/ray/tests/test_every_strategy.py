"""Every strategy of every package has the trials of one process on a cluster.

The searches are those that the fault campaign kills. They train supernets, embedders and surrogates, are nested, prune,
and ask for work. In a checkout only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.run.api import run_spec

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.usefixtures("ray_cluster")]

ROOT = Path(nas.__file__).parents[1]
if not (ROOT / "tests" / "faults" / "kills.py").is_file():  # an installed wheel has no tests
    pytest.skip("needs the repository's tests/faults", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from tests.faults.kills import cases, ended  # noqa: E402


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_trials_are_those_of_one_process(case, tmp_path):
    folders = []
    for name, run in (("alone", {}), ("ray", {"executor": "ray", "workers": 2})):
        folder = tmp_path / name
        folder.mkdir()
        run_spec(case.spec(folder, **run), snapshot_every=case.snapshot_every)
        folders.append(folder)
    alone, cluster = (ended(folder / "s.sqlite") for folder in folders)
    assert cluster == alone
