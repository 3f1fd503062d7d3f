"""Specifications as files and as data."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import SpecError
from nasplug.run.spec import RunSpec, read_spec

TEXT = """
task: {class_path: pkg.Task, init_args: {lr: 1e-3}}
space: qnas.conv
strategy: {qnas: {preset: strong}}
build: [{darts_lp.quantise: {weight_bits: 4}}]
target: npu:wu32
costs: [params, boo]
objectives: {val_acc: max, npu/latency_s: min}
constraints: ["npu/peak_sram_bytes <= 131072"]
budget: {trials: 1e2, epochs: 10}
run: {executor: process, workers: 2, batch: 4, seed: 0, storage: runs/edge.sqlite}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "edge.yaml"
    path.write_text(TEXT)
    return path


def test_a_file_is_read_whole(file):
    spec = read_spec(file)
    assert spec.space.name == "qnas.conv"
    assert spec.strategy.args == {"preset": "strong"}
    assert spec.task.is_path
    assert spec.task.args == {"lr": 0.001}  # YAML 1.1 alone would read text
    assert spec.budget.trials == 100
    assert [str(constraint) for constraint in spec.constraints] == ["npu/peak_sram_bytes <= 131072"]
    assert spec.evaluator.name == "lightning"


def test_plain_data_is_read_back_equal(file):
    spec = read_spec(file)
    assert RunSpec.parse(spec.to_plain()) == spec


def test_overrides_reach_into_anything(file):
    spec = read_spec(file, ["run.workers=4", "strategy.qnas.preset=cifar2022", "run.seed=7"])
    assert read_spec(file, ["space.qnas.conv.nodes=5"]).space.args == {"nodes": 5}
    assert (spec.run.workers, spec.run.seed, spec.strategy.args["preset"]) == (4, 7, "cifar2022")


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("run.workers", "write --set"),
        ("run..seed=1", "write --set"),
        ("target.x.y=1", "expected a name"),
        ("budget.trials.x=1", "has no keys"),
        ("rum.seed=1", "run"),
    ],
)
def test_bad_overrides_are_refused(file, override, match):
    with pytest.raises(SpecError, match=match):
        read_spec(file, [override])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("space: [", "(?i)not.*YAML"),
        ("- a\n- b", "mapping"),
        ("strategy: random", "no search space"),
        ("space: {a: {}, b: {}}", "cannot read"),
        ("space: {class_path: a.B, args: {}}", "use init_args"),
        ("space: a\ncosts: params", "expected a list"),
        ("space: a\nobjectives: [val_acc]", "cannot read"),
        ("space: a\nbudget: 5", "is a mapping"),
        ("space: a\nbudget: {trials: 1.5}", "expected an integer"),
        ("space: !!python/object/apply:os.system [ls]", "(?i)not.*YAML"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, text, match):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=match):
        read_spec(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"there is no file .*absent\.yaml"):
        read_spec(tmp_path / "absent.yaml")


def test_only_what_decides_the_trials_is_in_the_fingerprint(file):
    base = read_spec(file)
    same = read_spec(file, ["run.workers=1", "run.storage=other.sqlite", "budget.trials=7", "run.time_limit=60"])
    assert same.fingerprint() == base.fingerprint()
    for override in ("run.seed=1", "run.batch=1", "run.threads=2", "budget.epochs=3", "strategy.qnas.preset=x"):
        assert read_spec(file, [override]).fingerprint() != base.fingerprint()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("space: a\nstrategy: random\nspace: b\n", "'space' occurs twice, in lines 1 and 3"),
        ("space: {a: {x: 1, y: 2, x: 3}}\n", "'x' occurs twice, in lines 1 and 1"),
        ("space: a\nobjectives:\n  val_acc: max\n  val_acc: min\n", "'val_acc' occurs twice, in lines 3 and 4"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, text, lines):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=lines) as caught:
        read_spec(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1:30.5", "1:30.5"),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("1.", 1.0),
        ("1_0.5", 10.5),
        ("-.inf", float("-inf")),
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("True", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'010'", "010"),
        ("[on, off, 08]", ["on", "off", 8]),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(tmp_path, written, read):
    path = tmp_path / "scalar.yaml"
    path.write_text(f"space: {{a: {{x: {written}}}}}\n")
    value = read_spec(path).space.args["x"]
    assert value == read
    assert type(value) is type(read)


def test_a_word_is_not_a_boolean(tmp_path):
    path = tmp_path / "yes.yaml"
    path.write_text("space: a\nrun: {remeasure: yes}\n")
    with pytest.raises(SpecError, match=r"run\.remeasure: expected true or false, got 'yes'"):
        read_spec(path)


def test_anchors_and_merged_keys_are_no_repetition(tmp_path):
    path = tmp_path / "merged.yaml"
    path.write_text("space: {a: &one {x: 1}}\nstrategy: {b: {<<: *one, x: 2}}\n")
    assert read_spec(path).strategy.args == {"x": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": {"trials": "ten"}}, "budget.trials: expected an integer, got 'ten'"),
        ({"budget": {"seconds": "long"}}, "budget.seconds: expected a number, got 'long'"),
        ({"run": {"remeasure": "no"}}, "run.remeasure: expected true or false, got 'no'"),
        ({"run": {"device": 3}}, "run.device: expected a text, got 3"),
    ],
)
def test_messages_speak_english(options, message):
    with pytest.raises(SpecError, match=message):
        RunSpec.parse({"space": "a", **options})


def test_where_a_study_runs_is_not_what_it_is():
    def fingerprint(root, **run):
        data = {"folder": {"path": f"{root}/shapes", "size": 32}}
        spec = {"space": {"s": {"file": f"{root}/a.csv"}}, "task": {"t": {"data": data}}, "plugins": [f"{root}/p.py"]}
        return RunSpec.parse({**spec, "run": run}).fingerprint()

    here = fingerprint("/here")
    assert here == fingerprint("elsewhere/deep", device="cuda", executor="process", workers=4, storage="x.sqlite")
    assert here == fingerprint("C:\\\\data")
    other = RunSpec.parse({"space": {"s": {"file": "/here/b.csv"}}}).fingerprint()
    assert other != RunSpec.parse({"space": {"s": {"file": "/here/a.csv"}}}).fingerprint()
    assert here != fingerprint("/here", seed=1)
