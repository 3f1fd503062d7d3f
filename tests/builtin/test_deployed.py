"""Targets that run exported files: onnxruntime, ExecuTorch, and a program of one's own."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from torch import nn

import nasplug as nas
from nasplug.contract.errors import MissingExtraError, SpecError, TrustError
from nasplug.cost.candidate import Candidate
from nasplug.plugins.discovery import discover
from nasplug.plugins.trust import untrusted
from nasplug.run.assemble import find_target

SPREAD = {"latency_s", "latency_p10_s", "latency_p90_s"}


class Small(nn.Sequential):
    def __init__(self, width=16):
        super().__init__(
            nn.Conv2d(3, width, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, 10),
        )


def candidate(network=None):
    return Candidate(lambda: network or Small(), (3, 16, 16))


def target(name):
    return find_target(name, discover().catalog)


def test_onnxruntime_says_latency_with_its_spread_memory_and_size():
    network = Small().train()
    found = target("onnxruntime:repeats=5").estimate(candidate(network))
    assert set(found) == {*SPREAD, "peak_memory_bytes", "file_bytes"}
    assert 0 < found["latency_p10_s"] <= found["latency_s"] <= found["latency_p90_s"] < 1
    assert found["file_bytes"] > 4 * sum(parameter.numel() for parameter in network.parameters())
    assert network.training


def test_eight_bits_make_the_file_smaller():
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(768, 400), nn.ReLU(), nn.Linear(400, 10)) for _ in range(2)]
    floats = target("onnxruntime:float,repeats=3").estimate(candidate(networks[0]))
    eight = target("onnxruntime:int8,repeats=3").estimate(candidate(networks[1]))
    assert 3.5 < floats["file_bytes"] / eight["file_bytes"] < 4.1
    assert set(eight) == set(floats)
    assert target("onnxruntime:int8").capabilities["bits"] == [8]


def test_a_larger_network_takes_more_memory():
    def memory(width):
        network = nn.Sequential(nn.Flatten(), nn.Linear(768, width), nn.ReLU(), nn.Linear(width, 10))
        return target("onnxruntime:repeats=3").estimate(candidate(network))["peak_memory_bytes"]

    assert memory(20_000) - memory(10) > 4 * 768 * 20_000


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("onnxruntime:int4", "has no option 'int4'"),
        ("onnxruntime:int8,thread=2", "did you mean 'threads'"),
        ("onnxruntime:repeats=0", "positive"),
        ("command:", "names no program"),
        ("command:format=tflite ./measure", "unknown format 'tflite'"),
        ("command:timeout=soon ls", "positive integer"),
        ("command:no-such-program --fast", "the program 'no-such-program' was not found"),
        ("command:'ls", "cannot read the command line"),
    ],
)
def test_bad_names_are_refused_before_anything_runs(name, says):
    with pytest.raises(SpecError, match=says):
        target(name)


def test_without_executorch_the_extra_is_named():
    if importlib.util.find_spec("executorch"):
        pytest.skip("executorch is installed")
    with pytest.raises(MissingExtraError, match=r"nasplug\[executorch\]"):
        target("executorch")


@pytest.mark.slow
def test_executorch_runs_what_it_lowers():
    pytest.importorskip("executorch")
    found = target("executorch:repeats=3,batch_size=2").estimate(candidate())
    assert set(found) == {*SPREAD, "peak_memory_bytes", "file_bytes"}


def program(folder, body):
    file = folder / "measure.py"
    file.write_text(f"#!{sys.executable}\nimport sys, json, time\ncontent = sys.stdin.buffer.read()\n{body}\n")
    file.chmod(0o755)
    return file


def test_a_program_of_ones_own_gets_the_file(tmp_path):
    file = program(
        tmp_path,
        "import onnx\nmodel = onnx.load_from_string(content)\n"
        "print('connecting ...')\n"
        "print(json.dumps({'latency_s': [3, 1, 2], 'nodes': len(model.graph.node), 'arguments': len(sys.argv)}))",
    )
    found = target(f"command:{file} --device pi").estimate(candidate())
    assert found["latency_s"] == 2
    assert found["latency_p10_s"] == pytest.approx(1.2)
    assert found["latency_p90_s"] == pytest.approx(2.8)
    assert found["nodes"] >= 4
    assert found["arguments"] == 3


def test_a_file_that_is_not_trusted_starts_no_program(tmp_path):
    with untrusted(), pytest.raises(TrustError, match="names a program"):
        target("command:ls")


def test_a_search_under_a_limit_of_latency_on_ones_own_device(tmp_path):
    file = program(
        tmp_path,
        "import onnx\nfrom math import prod\nmodel = onnx.load_from_string(content)\n"
        "print(json.dumps({'latency_s': sum(prod(t.dims) for t in model.graph.initializer)}))",
    )

    class Widths(nas.ChoiceSpace):
        def __init__(self):
            super().__init__("widths", [nas.Choice("width", (2, 64))])

        def build(self, architecture, task):
            (width,) = architecture.genotype
            return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    study = nas.search(
        nas.ImageClassification(limit=100),
        space=Widths(),
        trials=4,
        strategy="random",
        target=f"command:{file}",
        objectives={"val_acc": "max", "command/latency_s": "min"},
        constraints=["command/latency_s <= 1000"],
        progress=False,
    )
    assert {(t.architecture.genotype[0], t.state) for t in study.trials} == {(2, "complete"), (64, "pruned")}
