"""The campaign in miniature, on the CPU: it stops in time, goes on, records what fails, and merges."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
START, TRAINED = "campaign_quantisers/start-0", "campaign_quantisers/double_st-2-0"
UNIFORM = "campaign_precision/2-0-uniform"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def data(tmp_path):
    """Images that can be told apart, and a file that cannot be read."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 300)
    images = rng.integers(40, 200, (10, 32, 32, 3))[labels] + rng.integers(-30, 30, (300, 32, 32, 3))
    x, y = images.astype(np.uint8), labels.astype(np.uint8)
    np.savez(folder / "cifar10_jpeg.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    (folder / "fashion_mnist_12k.npz").write_bytes(b"not an archive")
    return folder


def campaign(*arguments):
    command = [sys.executable, str(BENCHMARKS / "campaign.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def records(out):
    return {path.stem: json.loads(path.read_text()) for path in (out / "records").glob("*/*.json")}


@pytest.mark.slow
def test_a_campaign_trains_records_what_fails_goes_on_and_merges(tmp_path, data):
    out, options = tmp_path / "out", ["--data", data, "--device", "cpu", "--scale", 0.002, "--slots", 2]
    only = ["--only", START, TRAINED, UNIFORM]
    printed = campaign(*options, "--out", out, *only, "--minutes", 4, "--bundle", tmp_path / "bundle")
    assert "2 done, 1 failed" in printed
    found = records(out)
    assert found["start-0"]["state"] == found["double_st-2-0"]["state"] == "done"
    assert found["double_st-2-0"]["result"]["steps"] == found["double_st-2-0"]["arguments"]["steps"]
    assert found["double_st-2-0"]["result"]["folded_differing"] == 0
    failed = found["2-0-uniform"]
    assert failed["state"] == "failed"
    assert "precision.py" in failed["traceback"], "says where"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    campaign(*options, "--out", out, *only, "--minutes", 4)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.json")} == before, "nothing is done twice"
    listed = campaign(*options, "--out", out, "--list").splitlines()
    assert f"done     {TRAINED}" in listed
    assert f"failed   {UNIFORM}" in listed
    assert listed.index(f"done     {TRAINED}") < listed.index(f"failed   {UNIFORM}"), "the most valuable first"
    with tarfile.open(tmp_path / "bundle" / "campaign.tar") as tar:
        tar.extractall(tmp_path / "elsewhere", filter="data")
    assert records(tmp_path / "elsewhere") == found
    campaign("--merge", out, tmp_path / "elsewhere", "--results", tmp_path / "results")
    merged = json.loads((tmp_path / "results" / "campaign_quantisers.json").read_text())
    assert {"benchmark", "date", "machine", "versions", "seeds", "summary"} <= set(merged)
    assert merged["script"] == "campaign.py"
    assert merged["summary"]["double_st"]["bits_2"]["seeds"] == [0]
    assert merged["summary"]["double_st"]["bits_2"]["mean"] == found["double_st-2-0"]["result"]["test_acc"]


def entry(**changes):
    from campaign_tasks.entries import Entry

    recipe = {"epochs": 2.0, "pretrain": 1e5, "batch": 32, "width": 8, "blocks": 1, "stem_stride": 4, "limit": 64}
    arguments = {"kind": "pretrained", "bits": None, "seed": 0, "recipe": recipe} | changes
    return Entry("campaign_quantisers", "start-0", "quantisers:train", arguments, seconds=1.0)


def test_what_runs_past_the_time_is_ended_and_begins_again(tmp_path, data):
    from campaign_tasks.entries import Settings
    from campaign_tasks.records import Store
    from campaign_tasks.runner import Runner

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 1)
    store, begun = Store(settings.out), time.monotonic()
    runner = Runner([entry()], store, settings, begun + 4)
    runner.run()
    assert time.monotonic() - begun < 30, "that training would take hours"
    assert store.read(entry()) is None
    assert Runner([entry()], store, settings, time.monotonic() + 4).ready(entry()), "begins again"


def test_nothing_is_started_that_will_not_end_in_time(tmp_path, data):
    from dataclasses import replace

    from campaign_tasks.entries import Settings
    from campaign_tasks.records import Store
    from campaign_tasks.runner import Runner

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 1)
    runner = Runner([], Store(settings.out), settings, time.monotonic() + 60)
    assert runner.ready(replace(entry(), seconds=50.0))
    assert not runner.ready(replace(entry(), seconds=58.0))
    assert runner.ready(replace(entry(), seconds=5000.0, goes_on=True))
    assert not runner.ready(replace(entry(), needs=("campaign_quantisers/start-1",)))
    assert not runner.ready(replace(entry(), files=("missing.npz",)))


def test_no_training_starts_without_the_weights_of_an_earlier_call(tmp_path, data, capsys):
    from dataclasses import replace

    from campaign_tasks.entries import Settings
    from campaign_tasks.records import Store
    from campaign_tasks.runner import Runner

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 1)
    store, first = Store(settings.out), entry()
    store.write(first, {"state": "done", "seconds": 1.0, "error": ""})  # as records come from results/campaign
    second = replace(entry(), name="fixed-2-0", needs=(first.key,), weights="starts/0.safetensors")
    runner = Runner([first, second], store, settings, time.monotonic() + 60)
    assert not runner.ready(second)
    runner.run()
    assert "starts/0.safetensors is missing" in capsys.readouterr().out
    assert store.read(second) is None
    (settings.out / "starts").mkdir()
    (settings.out / "starts" / "0.safetensors").touch()
    assert runner.ready(second)


def test_every_training_of_the_quantisers_names_the_weights_its_start_writes(tmp_path, data):
    from campaign_tasks import quantisers
    from campaign_tasks.entries import Settings

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 1)
    found = quantisers.entries(settings)
    for one in found:
        expected = quantisers.weights(one.arguments["seed"], settings) if one.needs else None
        assert (settings.out / one.weights if one.weights else None) == expected
    assert sum(bool(one.needs) for one in found) == len(found) - 5


class Pool:
    """Takes tasks and never does them."""

    def __init__(self):
        self.taken = []

    def schedule(self, function, args):
        from concurrent.futures import Future

        self.taken.append(args[0].name)
        return Future()


def test_timed_packings_bound_only_trainings_like_the_timed_ones(tmp_path, data):
    from dataclasses import replace

    from campaign_tasks.entries import Settings
    from campaign_tasks.records import Store
    from campaign_tasks.runner import Runner

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 4)
    captured = [replace(entry(), name=f"captured-{i}", packed=True) for i in range(3)]
    others = [replace(entry(), name=f"other-{i}") for i in range(5)]
    for entries, expected in ((captured + others, ["captured-0"]), (others, [one.name for one in others[:4]])):
        runner, pool = Runner(entries, Store(settings.out), settings, time.monotonic() + 60), Pool()
        runner.slots = 1  # what the timings say
        runner.start(pool)
        assert pool.taken == expected


def test_differences_are_within_a_seed_and_their_interval_is_students():
    from campaign_tasks.quantisers import over

    def run(kind, bits, seed, accuracy):
        return {"kind": kind, "bits": bits, "seed": seed, "test_acc": accuracy}

    runs = [run("fixed", 2, seed, 0.5) for seed in range(3)] + [run("float", None, seed, 0.9) for seed in range(3)]
    runs += [run("lsq", 2, seed, accuracy) for seed, accuracy in enumerate((0.6, 0.7, 0.8))] + [run("lsq", 3, 0, 0.7)]
    runs += [run("pact", 2, 1, 0.4), run("pact", 2, 7, 0.4), run("pretrained", None, 0, 0.8)]
    found = over(runs, "fixed")
    assert set(found) == {"lsq", "pact"}, "floating point has no bits to compare"
    assert set(found["lsq"]) == {"bits_2"}
    lsq = found["lsq"]["bits_2"]
    assert lsq["by_seed"] == {"0": pytest.approx(0.1), "1": pytest.approx(0.2), "2": pytest.approx(0.3)}
    half = 4.302653 * 0.1 / 3**0.5  # the 97.5 % quantile with two degrees of freedom
    assert [lsq["low"], lsq["mean"], lsq["high"]] == pytest.approx([0.2 - half, 0.2, 0.2 + half])
    one = found["pact"]["bits_2"]
    assert set(one["by_seed"]) == {"1"}, "seed 7 has nothing to compare with"
    assert one["low"] is one["high"] is None
    assert over(runs, "float")["lsq"]["bits_3"]["by_seed"] == {"0": pytest.approx(-0.2)}


def test_the_loss_of_few_steps_is_that_of_the_steps_made(tmp_path, data):
    from _quantiser_training import WARM
    from campaign_tasks import checks, quantisers
    from campaign_tasks.entries import Settings

    settings = Settings(tmp_path / "out", data, "cpu", 0.002, 1)
    recipe = quantisers.recipe_of(settings) | {"epochs": 1000.0, "stem_stride": 4, "lr": 1e-9}
    result = checks.speed("float", False, {"recipe": recipe, "seconds": 0.0}, settings)
    assert result["steps"] + WARM < 100
    assert result["loss_of_first_steps"] > 2, "about ln 10 without learning"


def test_records_with_other_arguments_are_not_mixed(tmp_path):
    from campaign_tasks.records import Store

    store = Store(tmp_path)
    store.write(entry(), {"state": "done"})
    assert store.read(entry())["state"] == "done"
    with pytest.raises(SystemExit, match="other arguments"):
        store.read(entry(seed=1))


def done(name, result):
    return {
        "experiment": "campaign_checks", "name": name, "arguments": {}, "state": "done", "result": result,
        "seconds": 1.0, "origin": {"date": "2026-01-01", "machine": {"gpu": "none"}, "versions": {"nasplug": "0"}},
    }  # fmt: skip


def test_timings_decide_slots_graphs_and_what_is_expected(tmp_path):
    from campaign_tasks import checks
    from campaign_tasks.records import Store

    folder = tmp_path / "records" / "campaign_checks"
    folder.mkdir(parents=True)
    store = Store(tmp_path)
    assert checks.best_slots(store) is None
    assert checks.expected(store, entry(steps=1000), 8) is None
    alone = {"double_st-eager": 50, "double_st-graph": 100, "lsq-graph": 50, "float-eager": 200, "float-graph": 150}
    alone = {name: {"steps_per_second": rate} for name, rate in alone.items()} | {"pact-graph": {"traceback": "..."}}
    (folder / "alone.json").write_text(json.dumps(done("alone", alone)))
    for copies, rate in ((4, 40.0), (8, 20.2), (12, 10.0)):
        parts = [{"steps_per_second": rate}] * copies
        (folder / f"packed-{copies:02}.json").write_text(json.dumps(done(f"packed-{copies:02}", parts)))
    assert checks.best_slots(store) == 4, "8 take 1 % more and are not worth it"
    assert checks.use_graph(store, "double_st")
    assert checks.use_graph(store, "lsq")
    assert not checks.use_graph(store, "float")
    assert not checks.use_graph(store, "pact")
    assert checks.expected(store, entry(kind="double_st", steps=1000), 4) == pytest.approx(1000 / 40 + 8)
    assert checks.expected(store, entry(kind="lsq", steps=1000), 4) == pytest.approx(2 * 1000 / 40 + 8)


def test_of_several_records_the_one_that_is_done_is_merged(tmp_path):
    from campaign_tasks.records import merge

    failed = done("alone", None) | {"state": "failed", "error": "RuntimeError()"}
    for place, content in enumerate((failed, done("alone", {"double_st-eager": {"steps_per_second": 3}}))):
        folder = tmp_path / str(place) / "records" / "campaign_checks"
        folder.mkdir(parents=True)
        (folder / "alone.json").write_text(json.dumps(content))
    (path,) = merge([tmp_path / "0", tmp_path / "1"], tmp_path / "results")
    found = json.loads(path.read_text())
    assert found["alone"]["double_st-eager"]["steps_per_second"] == 3
    assert found["failed"] == {}
    assert found["machine"] == {"gpu": "none"}, "that of the records"
