"""Names of modules, and mistakes in them: one clear message each."""

from __future__ import annotations

import pytest
from nasplug_ablation.bench import Workbench
from nasplug_ablation.network.names import matching, of_type, one_module, several_modules
from nasplug_ablation.resolving import resolve
from nasplug_ablation.task import AblationTask
from torch import nn

from nasplug.contract.errors import NasplugError, SpecError
from plugins.ablation.tests.conftest import Data, Lit

PATHS = ["net", "net.a", "net.a.se", "net.b", "net.b.se", "net.layer1", "net.layer1.0", "net.layer2", "net.layer2.0"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("net.*.se", ["net.a.se", "net.b.se"]),
        ("**.se", ["net.a.se", "net.b.se"]),
        ("net.layer?.*", ["net.layer1.0", "net.layer2.0"]),
        ("net.layer[2-9]", ["net.layer2"]),
        ("*.a", ["net.a"]),
        ("net.**", PATHS),
        ("se", []),
    ],
)
def test_patterns_go_by_segments(pattern, found):
    assert matching(pattern, PATHS) == found


def test_a_name_is_a_path_or_a_unique_end():
    assert one_module("net.a", PATHS, "here") == "net.a"
    assert one_module("layer2.0", PATHS, "here") == "net.layer2.0"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("se", r"'se' is ambiguous: 2 modules .*net\.a\.se, net\.b\.se.*modules: '\*\*\.se'"),
        ("net.c", "no module 'net.c'.*did you mean"),
        ("net.*", "is a pattern, and `module` takes one"),
    ],
)
def test_names_that_say_too_little_are_refused(name, message):
    with pytest.raises(SpecError, match=f"(?is){message}"):
        one_module(name, PATHS, "here")


def test_a_pattern_that_matches_nothing_says_what_would():
    with pytest.raises(SpecError, match=r"(?s)matches no module.*'\*\*\.a\.\*', which matches net\.a\.se"):
        several_modules("a.*", PATHS, "here")


def test_classes_are_named_short_or_in_full():
    net = nn.Sequential(nn.ReLU(), nn.Linear(1, 1), nn.ReLU6())
    modules = list(net.named_modules())[1:]
    assert of_type("ReLU", modules, "") == of_type("torch.nn.ReLU", modules, "") == ["0"]
    assert of_type("Hardtanh", modules, "") == ["2"]  # ReLU6 is one
    with pytest.raises(SpecError, match="no module of type 'Conv2d'"):
        of_type("Conv2d", modules, "")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"group": "net.none*"}, "matches no module"),
        ({"module": "conv1"}, "ambiguous"),
        ({"type": "Conv2d"}, "one trial for each, or one without all of them"),
        ({"feature": "age"}, r"(?s)no feature 'age'.*nobody has named any"),
        ({"feature": 2}, r"(?s)no feature 2.*axis 1 has 2"),
        ({"callback": "ema"}, "no callback 'ema'"),
        ({"augmentation": "Flip"}, r"(?s)no augmentation 'Flip'.*no transform was found"),
        ({"hyperparameter": {"momentum": 0.0}}, "no argument 'momentum'"),
        ({"hyperparameter": {"lr": 0.01}}, "lr is 0.01 already"),
        ({"hyperparameter": {"data.size": 8}}, "data.size is 8 already"),
        ({"custom": "nowhere:function"}, "cannot import"),
        ({"replace": "net.head"}, "nothing is given in its place"),
        ({"modul": "net"}, "(?s)names nothing.*did you mean 'module'"),
        ({"module": "net.head", "feature": 0}, "an entry names one thing"),
        ({"module": "net.head", "policy": "remove"}, "there is no policy 'remove'"),
        ({"module": "net.head", "mode": "drop"}, "has no option 'mode'"),
        ({"modules": "net.*", "name": "all"}, "cannot share the name"),
        ("net.head", "expected a mapping"),
    ],
)
def test_mistakes_in_entries_are_one_message(bench, entry, message):
    with pytest.raises(NasplugError, match=message):
        resolve([entry], bench)


def test_two_components_of_one_name_are_refused(bench):
    with pytest.raises(SpecError, match=r"two components are named 'net\.head'"):
        resolve([{"module": "net.head"}, {"modules": "net.h*"}], bench)
    with pytest.raises(SpecError, match="there is nothing to take away"):
        resolve([], bench)


def test_groups_go_together_and_patterns_one_by_one(bench):
    each = resolve([{"modules": "net.blocks.*"}], bench)
    assert [component.name for component in each] == ["net.blocks.0", "net.blocks.1"]
    (group,) = resolve([{"group": "net.blocks.*", "name": "all blocks"}], bench)
    assert [member.target for member in group.members] == ["net.blocks.0", "net.blocks.1"]
    (mixed,) = resolve([{"group": ["net.drop", {"feature": 1}], "name": "both"}], bench)
    assert [member.kind for member in mixed.flat()] == ["module", "feature"]
    (typed,) = resolve([{"type": "Dropout", "together": True}], bench)
    assert typed.name == "all Dropout"


def test_a_function_without_arguments_has_no_hyperparameters():
    def make():
        return Lit()

    bench = Workbench(AblationTask(make, Data))
    with pytest.raises(SpecError, match="make has no argument 'lr'"):
        resolve([{"hyperparameter": {"lr": 0.5}}], bench)
