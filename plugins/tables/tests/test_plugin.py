"""What the package announces, what importing it costs, and what its page says of its commands."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import nasplug_tables
import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.testing.installed import announcement

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_what_is_announced():
    catalog = nas.Catalog()
    from nasplug_tables.plugin import register

    register(catalog)
    assert [(entry.kind, entry.name) for entry in catalog] == [
        ("command", "bench"),
        ("command", "table"),
        ("cost", "column"),
        ("evaluator", "tabular"),
        ("space", "nasbench101"),
        ("space", "nasbench201"),
        ("space", "table"),
        ("target", "table"),
    ]
    assert all(entry.load() is not None for entry in catalog)


def test_announcing_imports_nothing_heavy():
    assert announcement("nasplug_tables.plugin").heavy == ()
    code = "import sys, nasplug_tables.plugin; sys.exit('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_search_on_a_table_loads_no_torch(tmp_path):
    code = """
import sys
import numpy as np
import nasplug as nas
from nasplug_tables import Table
Table({"ops": np.array(["000000", "333333"], dtype="S"), "val_acc_1": np.array([0.1, 0.9])}).write("t.parquet")
study = nas.search(None, space="nasbench201", evaluator=nas.component("tabular", path="t.parquet"), trials=3,
                   enqueue=[["nor_conv_3x3"] * 6], progress=False)
assert study.best.values == {"val_acc": 0.9}
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_public_names():
    assert nasplug_tables.Table is nasplug_tables.table.Table
    assert {"Table", "TabularBenchmark"} == set(nasplug_tables.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Tabel'"):
        nasplug_tables.Tabel  # noqa: B018


@pytest.mark.parametrize("words", [("bench",), ("table", "info"), ("table", "convert")], ids=" ".join)
def test_the_page_has_every_option(words, capsys):
    section = re.search(rf"## `nasplug {words[0]} (.*?)(?=\n## |\Z)", README, re.DOTALL)
    assert section

    def options(*command):
        with contextlib.suppress(SystemExit):
            main([*command, "--help"])
        return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out))

    own = options(*words) - options("new-plugin")  # what every command has is on the page of the command line
    assert own
    assert [option for option in sorted(own) if option not in section[0]] == []
