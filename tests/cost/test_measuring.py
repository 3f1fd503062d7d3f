"""Programs that measure files: what they answer, and what becomes of those that fail."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from nasplug.contract.errors import SpecError, TaskError
from nasplug.cost.deployed.measuring import ask, costs_of, spread


def program(folder, body):
    file = folder / "measure.py"
    file.write_text(f"#!{sys.executable}\nimport sys, json, time\n{body}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.stderr.write('no route to host'); sys.exit(3)", r"(?s)exit code 3.*no route to host"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("print('done')", r"(?s)did not print a JSON object.*it printed done"),
        ("", r"(?s)did not print a JSON object.*it printed nothing"),
        ("print('[1, 2]')", "did not print a JSON object"),
        ("print('{}')", "did not print a JSON object"),
        ("print(json.dumps({'latency_s': '2 ms'}))", "'latency_s' is \"2 ms\", not a finite number"),
        ("print(json.dumps({'latency_s': []}))", "not a finite number or a list of them"),
        ("print(json.dumps({'latency_s': float('nan')}))", "not a finite number"),
        ("print(json.dumps({'ok': True}))", "not a finite number"),
    ],
)
def test_a_program_that_fails_says_why(tmp_path, body, says):
    with pytest.raises(TaskError, match=says):
        ask([str(program(tmp_path, body))], b"file", where="target", timeout=20)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    file = tmp_path / "measure.sh"  # a shell starts at once, however busy the machine is
    file.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path / 'child'}\nwait\n")
    file.chmod(0o755)
    with pytest.raises(TaskError, match="has not answered after 2 s"):
        ask([str(file)], b"file", where="target", timeout=2)
    pid = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:  # a signal is sent at once and obeyed when the child runs next
        time.sleep(0.01)
    assert not alive(pid)


def test_a_program_that_reads_nothing_may_answer(tmp_path):
    file = tmp_path / "measure.sh"
    file.write_text("#!/bin/sh\necho '{\"latency_s\": 0.5}'\n")
    file.chmod(0o755)
    assert ask([str(file)], bytes(10_000_000), where="target", timeout=20) == {"latency_s": 0.5}


def test_a_program_that_does_not_exist_is_named():
    with pytest.raises(SpecError, match=r"cannot start '/no/such/program'"):
        ask(["/no/such/program"], b"", where="target", timeout=2)


def test_lists_become_medians_with_their_spread():
    found = costs_of('connected\n{"latency_s": [1, 2, 3, 4, 5], "energy_j": 0.5}\n', "target")
    assert found == pytest.approx({"latency_s": 3, "latency_p10_s": 1.4, "latency_p90_s": 4.6, "energy_j": 0.5})


def test_percentiles_stand_before_the_unit():
    assert spread("peak_sram_bytes", "p90") == "peak_sram_p90_bytes"
    assert spread("latency", "p90") == "latency_p90"
