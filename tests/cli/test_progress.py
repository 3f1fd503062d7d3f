"""The displays: bars in a terminal, few plain lines elsewhere, no matter how narrow or poor."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import nasplug as nas
from nasplug.cli.progress import EpochDisplay, LiveDisplay

TINY = Path(__file__).parent / "tiny_plugin.py"


def search(console, trials=6, **more):
    display = LiveDisplay(console)
    study = nas.search(
        space="tiny", evaluator="bowl", objectives={"height": "min"}, trials=trials, plugins=[TINY], epochs=2,
        trackers=[display], costs=["weight"], **more,
    )  # fmt: skip
    return study, display


def terminal(encoding="utf-8", **size):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    return Console(file=stream, force_terminal=True, highlight=False, **size), stream


def test_plain_lines_outside_a_terminal(monkeypatch):
    monkeypatch.setattr("nasplug.cli.progress.QUIET", 0.0)
    stream = io.StringIO()
    study, display = search(Console(file=stream, force_terminal=False, width=40))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    shown = [f"trial {trial.number} ({study.label(trial)})" for trial in study.trials]
    assert [line.split("  ")[1] for line in lines] == shown
    assert shown[0].startswith("trial 0 (x=")
    assert sum("best so far" in line for line in lines) >= 1
    assert "\x1b" not in stream.getvalue()
    assert display.seconds > 0


def test_fast_searches_do_not_flood():
    stream = io.StringIO()
    search(Console(file=stream, force_terminal=False), trials=36)
    lines = stream.getvalue().splitlines()
    assert len(lines) < 36
    assert lines[-1].startswith("[36/36]")


@pytest.mark.parametrize("width", [1, 7, 40, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bars_in_any_terminal(width, encoding):
    console, stream = terminal(encoding, width=width, height=5)
    search(console, trials=4)
    stream.seek(0)
    text = stream.read()
    if width == 200:
        assert "4/4" in text
        assert "best" in text


def test_what_the_bars_say():
    console, _ = terminal(width=120, height=20)
    display = LiveDisplay(console)
    seen = []

    class Spy(LiveDisplay):
        def measured(self, number, measurement):
            super().measured(number, measurement)
            with console.capture() as capture:
                console.print(self._render())
            seen.append(capture.get())

    display = Spy(console)
    nas.search(
        space="tiny", evaluator="bowl", objectives={"height": "min"}, trials=3, plugins=[TINY], epochs=2,
        trackers=[display],
    )  # fmt: skip
    assert "0/3" in seen[0]
    assert "epoch 1/2" in seen[0]
    assert "none yet" in seen[0]
    assert "epoch" not in seen[1]  # over its last epoch
    assert "left" in seen[-1]
    assert "trial" in seen[-1].partition("best")[2]


def test_failures_are_counted_and_named(monkeypatch):
    monkeypatch.setattr("nasplug.cli.progress.QUIET", 0.0)
    stream = io.StringIO()
    nas.search(
        space="tiny", evaluator=nas.component("bowl", fail=True), objectives={"height": "min"}, trials=2,
        plugins=[TINY], trackers=[LiveDisplay(Console(file=stream))],
    )  # fmt: skip
    assert "failed  (error: ValueError: no bowl here)" in stream.getvalue()


def test_epochs_of_one_training():
    stream = io.StringIO()
    with EpochDisplay(100, Console(file=stream, force_terminal=False)) as display:
        for step in range(1, 101):
            display.measured(0, nas.Measurement(step, {"val_acc": step / 100}))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "epoch 100/100  val_acc 1"
    console, stream = terminal(width=60)
    with EpochDisplay(2, console) as display:
        display.measured(0, nas.Measurement(1, {"val_acc": 0.5}))
    stream.seek(0)
    assert "epoch 1/2" in stream.read()


def test_work_of_a_strategy_is_shown_while_it_runs():
    class Pictured(LiveDisplay):
        def picture(self):
            stream = io.StringIO()
            Console(file=stream, width=120).print(self._render())
            return stream.getvalue()

    console, _ = terminal(width=120, height=20)
    display = Pictured(console)

    class Works(nas.Tracker):
        def observed(self, trial):
            if trial.number == 0:
                display.worked("train_supernet-0123456789ab", 0.25, {"epoch": 1, "loss": 2.5})
                shown.append(display.picture())
                display.worked("train_supernet-0123456789ab", 1.0, {"loss": 1.5})
                shown.append(display.picture())

    shown = []
    nas.search(
        space="tiny", evaluator="bowl", objectives={"height": "min"}, trials=2, plugins=[TINY], epochs=2,
        trackers=[display, Works()],
    )  # fmt: skip
    assert "train_supernet" in shown[0]
    assert "25%  epoch 1  loss 2.5" in shown[0]
    assert "train_supernet" not in shown[1]


def test_outside_a_terminal_work_has_a_line_when_it_is_done():
    stream = io.StringIO()
    display = LiveDisplay(Console(file=stream, force_terminal=False))
    display.worked("train_supernet-0123456789ab", 0.25, {"loss": 2.5})
    display.worked("train_supernet-0123456789ab", 1.0, {"loss": 1.5})
    assert stream.getvalue().splitlines() == ["train_supernet  done  loss 1.5"]


def test_lines_of_work_are_never_broken():
    stream = io.StringIO()
    display = LiveDisplay(Console(file=stream, force_terminal=False, width=30))
    display.worked("supernet-0123456789abcdef", 1.0, {"a long name of a loss": 0.123456, "another long name": 2.0})
    (line,) = stream.getvalue().splitlines()
    assert len(line) > 30
    assert "done" in line
    assert "another long name" in line


def test_a_resumed_run_prints_the_trials_that_are_new(monkeypatch, tmp_path):
    """Those of the file are counted; one that was in flight when the run ended is new."""
    monkeypatch.setattr("nasplug.cli.progress.QUIET", 0.0)
    storage = tmp_path / "s.sqlite"
    search(Console(file=io.StringIO(), force_terminal=False, width=100), trials=4, storage=storage)
    stream = io.StringIO()
    search(Console(file=stream, force_terminal=False, width=100), trials=7, storage=storage)
    said = stream.getvalue().splitlines()
    assert said[0] == "resuming: 4 trials already done"
    assert [line.split("trial ")[1].split(" ")[0] for line in said[1:]] == ["4", "5", "6"]


def test_a_trial_that_was_waiting_when_a_run_ended_is_printed(monkeypatch):
    from nasplug.contract.tracker import Plan

    monkeypatch.setattr("nasplug.cli.progress.QUIET", 0.0)
    quiet, stream = io.StringIO(), io.StringIO()
    study, _ = search(Console(file=quiet, force_terminal=False, width=100), trials=3)
    display = LiveDisplay(Console(file=stream, force_terminal=False, width=100))
    display.submitted(study.trials[1])  # handed over before the start, by a snapshot
    display.started(study.view if hasattr(study, "view") else study, Plan(3, None, 3, 1))
    before = len(stream.getvalue().splitlines())
    display.observed(study.trials[0])
    assert len(stream.getvalue().splitlines()) == before
    display.observed(study.trials[1])
    assert len(stream.getvalue().splitlines()) == before + 1
