"""The tools around the suites: the synthetic problem, `run_search`, and finding what to test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import UnknownNameError
from nasplug.plugins.discovery import discover
from nasplug.testing import Interrupted, Shapes, SyntheticEvaluator, SyntheticSpace, outcome, run_search
from nasplug.testing.installed import examples_of, find_plugin, suites
from nasplug.testing.synthetic import OPERATIONS, accuracy, best_accuracy


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_pytest_the_suites_name_the_extra_and_the_tools_work():
    printed = run_python(
        """
        import sys
        sys.modules["pytest"] = None
        from nasplug.testing import run_search
        print(len(run_search("random", trials=3).trials))
        try:
            from nasplug.testing import StrategyConformance
        except Exception as error:
            print(type(error).__name__, error)
        """
    )
    count, message = printed.split("\n", 1)
    assert count == "3"
    assert message.startswith("MissingExtraError pytest is needed")
    assert 'pip install "nasplug[testing]"' in message


def test_a_synthetic_search_loads_no_torch():
    program = "import sys; from nasplug.testing import run_search; run_search('asha'); print('torch' in sys.modules)"
    assert run_python(program) == "False"


def test_every_public_name_can_be_imported():
    import nasplug.testing

    for name in nasplug.testing.__all__:
        assert getattr(nasplug.testing, name).__doc__, name
    with pytest.raises(AttributeError):
        nasplug.testing.nonsense  # noqa: B018


def test_the_synthetic_optimum_is_where_it_says():
    """Strong operations that alternate: equal neighbours cost more than the weaker operation in between."""
    strongest = (3,) * 6
    assert accuracy((3, 2, 3, 2, 3, 3), 9) > accuracy(strongest, 9)
    best = max(SyntheticSpace(3), key=lambda a: accuracy(tuple(OPERATIONS.index(g) for g in a.genotype), 9))
    assert accuracy(tuple(OPERATIONS.index(g) for g in best.genotype), 9) == best_accuracy(3, 9)
    study = run_search("regularized_evolution", space=SyntheticSpace(4), trials=300)
    assert study.best.values["val_acc"] == pytest.approx(best_accuracy(4, 9))


def test_learning_curves_rise_and_cross():
    """Early results guide, and mislead sometimes: what successive halving lives on."""
    rng = np.random.default_rng(0)
    options = [tuple(int(i) for i in rng.integers(4, size=6)) for _ in range(100)]
    early, late = ([accuracy(o, epochs) for o in options] for epochs in (1, 9))
    assert all(a < b for a, b in zip(early, late, strict=True))
    correlation = np.corrcoef(np.argsort(np.argsort(early)), np.argsort(np.argsort(late)))[0, 1]
    assert 0.6 < correlation < 0.999


def test_noise_and_trouble_come_from_the_seed_and_the_architecture():
    first, second = (run_search("random", evaluator=SyntheticEvaluator(0.1, 0.3, 0.3), seed=4) for _ in range(2))
    assert outcome(first) == outcome(second)
    states = [trial.state for trial in first.trials]
    assert {"complete", "failed", "pruned"} == set(states)
    assert 4 <= states.count("failed") <= 20


def test_run_search_stops_where_it_is_told(tmp_path):
    with pytest.raises(Interrupted):
        run_search("random", storage=tmp_path / "s.sqlite", stop_after=7)
    assert len(nas.load_study(tmp_path / "s.sqlite").trials) == 7


def test_shapes_have_no_data():
    with pytest.raises(nas.NasplugError):
        Shapes().datamodule()
    with pytest.raises(nas.NasplugError):
        Shapes().module(None, {})


PLUGIN = '''
"""A plugin in one file."""
import nasplug as nas
from nasplug.builtin.random import RandomSearch

@nas.hookimpl
def register(catalog):
    catalog.strategy("needy", f"{__name__}:Needy", summary="Needs an argument.")
    catalog.strategy("offering", f"{__name__}:Offering", summary="Needs an argument, and offers two.")
    catalog.strategy("asked", f"{__name__}:Asked", summary="Says late what to replace.")
    catalog.strategy("made", f"{__name__}:make", summary="A function.")
    catalog.strategy("missing", f"{__name__}:Missing", summary="")

class Needy(RandomSearch):
    """Random."""
    def __init__(self, number: int):
        super().__init__()
        self.number = number

class Offering(Needy):
    """Random."""
    nasplug_conformance = {"trials": 13}
    @classmethod
    def nasplug_examples(cls):
        return [{"number": 1}, {"number": 2}]

class Asked(RandomSearch):
    """Random."""
    @classmethod
    def nasplug_conformance(cls):
        return {"trials": 9}

def make(number: int) -> Needy:
    """Random."""
    return Needy(number)

def nasplug_examples():
    return [{"number": 3}]
'''


@pytest.fixture
def plugin_file(tmp_path) -> Path:
    path = tmp_path / "one_file.py"
    path.write_text(PLUGIN)
    return path


def test_examples_and_replaced_attributes(plugin_file):
    made = suites("one_file", [plugin_file])
    assert "TestAnnouncement" not in made  # a single file is imported, not announced
    for number, title in ((1, "Offering" + "Conformance0"), (2, "Offering" + "Conformance1"), (3, "MadeConformance")):
        suite = made[f"TestStrategy{title}"]()
        assert suite.make_strategy().number == number
        assert suite.make_strategy() is not suite.make_strategy()
    assert made["TestStrategyOfferingConformance0"].trials == 13
    assert made["TestStrategyAskedConformance"].trials == 9
    assert len(made["TestStrategyOfferingConformance0"]().search().trials) == 13
    with pytest.raises(pytest.skip.Exception, match="nasplug_examples"):
        made["TestStrategyNeedyConformance"]().test_conformance()
    with pytest.raises(nas.NasplugError):
        made["TestStrategyMissing"]().test_it_loads()
    with pytest.raises(AssertionError, match="summary"):
        made["TestStrategyMissing"]().test_it_is_documented()
    assert "TestStrategyMissingConformance" not in made


def test_examples_of_plain_factories():
    assert examples_of(lambda: None) == [{}]
    assert examples_of(lambda a, b=1: None) is None
    assert examples_of(lambda a=0, **rest: None) == [{}]


def test_finding_plugins():
    found = discover()
    assert find_plugin("builtin", found).module == "nasplug.builtin.plugin"
    assert find_plugin("nasplug", found).name == "builtin"
    with pytest.raises(UnknownNameError, match="did you mean"):
        find_plugin("biultin", found)


def test_the_command_tests_a_single_file(plugin_file, capfd):
    assert main(["--plugin", str(plugin_file), "test-plugin", "one_file", "-k", "Made and loads"]) == 0
    assert "strategy needy: Needs an argument." in capfd.readouterr().out
    assert main(["--plugin", str(plugin_file), "test-plugin", "one_file", "-k", "Missing", "-x"]) == 1
