"""Legal and probably not meant: a constraint that nothing satisfies, a class in the place of an object."""

from __future__ import annotations

import warnings

import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError
from nasplug.run.api import run_spec
from nasplug.run.hints import HINT_AFTER


class _Listener(nas.Tracker):
    def __init__(self):
        self.hints = []

    def noted(self, hint):
        self.hints.append(hint)


def _run(toy_spec, bound, trackers=(), trials=60):
    spec = toy_spec(strategy="random", constraints=[bound], budget={"trials": trials})
    return run_spec(spec, trackers=trackers)


def test_a_constraint_that_nothing_satisfies_is_said_once(toy_spec):
    listener = _Listener()
    study = _run(toy_spec, "size <= 2", [listener])
    assert all(trial.state == "pruned" for trial in study.trials)
    (hint,) = listener.hints
    least = min(trial.costs["size"] for trial in study.trials[:HINT_AFTER])
    assert (
        f"none of {HINT_AFTER} trials so far satisfies the constraint size <= 2; the nearest value is {least:g}" in hint
    )


def test_without_a_tracker_it_is_a_warning(toy_spec):
    with pytest.warns(RuntimeWarning, match=r"satisfies the constraint size >= 1000; the nearest value is \d+"):
        _run(toy_spec, "size >= 1000")


def test_one_trial_that_satisfies_it_is_enough(toy_spec):
    listener = _Listener()
    study = _run(toy_spec, "size <= 15", [listener])
    assert 0 < sum(trial.state == "pruned" for trial in study.trials) < 60
    assert not listener.hints
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _run(toy_spec, "size <= 2", trials=HINT_AFTER - 1)


def test_the_command_line_says_it_at_the_end(toy_spec, tmp_path, capsys):
    import yaml

    spec = toy_spec(constraints=["size <= 2"], budget={"trials": 3}, run={"storage": str(tmp_path / "s.sqlite")})
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(spec.to_plain()))
    assert main(["run", str(file)]) == 1
    assert "Hint: none of 3 trials so far satisfies the constraint size <= 2" in capsys.readouterr().out


def test_a_class_in_the_place_of_a_callback_is_refused(toy_path):
    from pytorch_lightning.callbacks import EarlyStopping, Timer

    for callback in (Timer, EarlyStopping):
        with pytest.raises(SpecError, match=f"{callback.__name__} is a class"):
            nas.search(space="toy", evaluator="toy", callbacks=[callback], trials=3, plugins=[toy_path], progress=False)
