"""Writes networks as TFLite files of int8, and asks the compiler Vela about them; runs in Vela's environment.

Called by `npu_vela.py` with the path of a JSON file of jobs; prints one JSON line. Needs `ethos-u-vela` and nothing of
nasplug: the schema is the one that comes with the compiler.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import flatbuffers
import numpy as np
from ethosu.vela.tflite import (
    AddOptions,
    BuiltinOperator,
    BuiltinOptions,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    Model,
    Operator,
    OperatorCode,
    Pool2DOptions,
    QuantizationParameters,
    SubGraph,
    Tensor,
)
from ethosu.vela.tflite import Buffer as Buffers

INT8, INT32 = 9, 2
CODES = {
    "conv": (BuiltinOperator.BuiltinOperator.CONV_2D, BuiltinOptions.BuiltinOptions.Conv2DOptions),
    "depthwise": (
        BuiltinOperator.BuiltinOperator.DEPTHWISE_CONV_2D,
        BuiltinOptions.BuiltinOptions.DepthwiseConv2DOptions,
    ),
    "fc": (BuiltinOperator.BuiltinOperator.FULLY_CONNECTED, BuiltinOptions.BuiltinOptions.FullyConnectedOptions),
    "maxpool": (BuiltinOperator.BuiltinOperator.MAX_POOL_2D, BuiltinOptions.BuiltinOptions.Pool2DOptions),
    "avgpool": (BuiltinOperator.BuiltinOperator.AVERAGE_POOL_2D, BuiltinOptions.BuiltinOptions.Pool2DOptions),
    "add": (BuiltinOperator.BuiltinOperator.ADD, BuiltinOptions.BuiltinOptions.AddOptions),
    "concat": (BuiltinOperator.BuiltinOperator.CONCATENATION, BuiltinOptions.BuiltinOptions.ConcatenationOptions),
}
KINDS = list(CODES)
ACTIVATIONS = {"": 0, "relu": 1, "relu6": 3}


class File:
    """A TFLite file in the making."""

    def __init__(self, seed: int, density: float, levels: int) -> None:
        self.builder = flatbuffers.Builder(1 << 20)
        self.rng, self.density, self.levels = np.random.default_rng(seed), density, levels
        self.buffers: list[bytes] = [b""]
        self.tensors: list[int] = []
        self.operators: list[int] = []

    def ints(self, values: list[int]) -> int:
        return self.builder.CreateNumpyVector(np.array(values, dtype=np.int32))

    def tensor(self, name: str, shape: list[int], kind: int = INT8, data: bytes = b"", scale: float = 0.05) -> int:
        builder = self.builder
        title, sizes = builder.CreateString(name), self.ints(shape)
        scales = builder.CreateNumpyVector(np.array([scale], dtype=np.float32))
        zeros = builder.CreateNumpyVector(np.array([0], dtype=np.int64))
        QuantizationParameters.Start(builder)
        QuantizationParameters.AddScale(builder, scales)
        QuantizationParameters.AddZeroPoint(builder, zeros)
        quantised = QuantizationParameters.End(builder)
        number = 0
        if data:
            number = len(self.buffers)
            self.buffers.append(data)
        Tensor.Start(builder)
        Tensor.AddShape(builder, sizes)
        Tensor.AddType(builder, kind)
        Tensor.AddBuffer(builder, number)
        Tensor.AddName(builder, title)
        Tensor.AddQuantization(builder, quantised)
        self.tensors.append(Tensor.End(builder))
        return len(self.tensors) - 1

    def weights(self, shape: list[int]) -> bytes:
        """Normally distributed integers on so many levels, some of them zero."""
        step = 256 // self.levels
        drawn = np.round(self.rng.normal(0, 36, shape) / step).clip(-(self.levels // 2) + 1, self.levels // 2 - 1)
        drawn[drawn == 0] = 1
        drawn *= self.rng.random(shape) < self.density
        return drawn.astype(np.int8).tobytes()

    def operator(self, kind: str, inputs: list[int], output: int, options: int) -> None:
        builder = self.builder
        reads, writes = self.ints(inputs), self.ints([output])
        Operator.Start(builder)
        Operator.AddOpcodeIndex(builder, KINDS.index(kind))
        Operator.AddInputs(builder, reads)
        Operator.AddOutputs(builder, writes)
        Operator.AddBuiltinOptionsType(builder, CODES[kind][1])
        Operator.AddBuiltinOptions(builder, options)
        self.operators.append(Operator.End(builder))

    def layer(self, row: dict, sources: list[int]) -> int:
        """Adds a layer of a workload; returns its output's number."""
        builder, kind = self.builder, row["kind"]
        n, co, ho, wo = row["n"], row["co"], row["ho"], row["wo"]
        act = ACTIVATIONS.get(row["post"], 1)
        shape = [n, co] if kind == "fc" else [n, ho, wo, co]
        inputs = list(sources)
        if kind in ("conv", "depthwise", "fc"):
            name = row["name"]
            sizes = {
                "conv": [co, row["kh"], row["kw"], row["ci"]],
                "depthwise": [1, row["kh"], row["kw"], co],
                "fc": [co, row["ci"]],
            }[kind]
            inputs.append(self.tensor(f"{name}.weight", sizes, data=self.weights(sizes), scale=0.01))
            bias = self.rng.integers(-999, 999, co).astype(np.int32).tobytes()
            inputs.append(self.tensor(f"{name}.bias", [co], INT32, bias, 0.0005))
        output = self.tensor(row["name"], shape, scale=0.05 if kind != "add" else 0.06)
        if kind in ("conv", "depthwise"):
            made = Conv2DOptions if kind == "conv" else DepthwiseConv2DOptions
            made.Start(builder)
            made.AddPadding(builder, row["valid"])
            made.AddStrideW(builder, row["sw"])
            made.AddStrideH(builder, row["sh"])
            made.AddFusedActivationFunction(builder, act)
            made.AddDilationWFactor(builder, row["dw"])
            made.AddDilationHFactor(builder, row["dh"])
            if kind == "depthwise":
                made.AddDepthMultiplier(builder, 1)
        elif kind == "fc":
            made = FullyConnectedOptions
            made.Start(builder)
            made.AddFusedActivationFunction(builder, act)
        elif kind in ("maxpool", "avgpool"):
            made = Pool2DOptions
            made.Start(builder)
            made.AddPadding(builder, row["valid"])
            made.AddStrideW(builder, row["sw"])
            made.AddStrideH(builder, row["sh"])
            made.AddFilterWidth(builder, row["kw"])
            made.AddFilterHeight(builder, row["kh"])
        elif kind == "add":
            made = AddOptions
            made.Start(builder)
            made.AddFusedActivationFunction(builder, act)
        else:
            made = ConcatenationOptions
            made.Start(builder)
            made.AddAxis(builder, 3)
        self.operator(kind, inputs, output, made.End(builder))
        return output

    def finish(self, first: list[int], last: list[int]) -> bytes:
        builder = self.builder

        def vector(items: list[int]) -> int:
            builder.StartVector(4, len(items), 4)
            for item in reversed(items):
                builder.PrependUOffsetTRelative(item)
            return builder.EndVector()

        contents = []
        for data in self.buffers:
            held = builder.CreateNumpyVector(np.frombuffer(data, dtype=np.uint8)) if data else None
            Buffers.Start(builder)
            if held is not None:
                Buffers.AddData(builder, held)
            contents.append(Buffers.End(builder))
        codes = []
        for code, _ in CODES.values():
            OperatorCode.Start(builder)
            OperatorCode.AddDeprecatedBuiltinCode(builder, code)
            OperatorCode.AddBuiltinCode(builder, code)
            OperatorCode.AddVersion(builder, 1)
            codes.append(OperatorCode.End(builder))
        tensors, operators = vector(self.tensors), vector(self.operators)
        reads, writes = self.ints(first), self.ints(last)
        SubGraph.Start(builder)
        SubGraph.AddTensors(builder, tensors)
        SubGraph.AddInputs(builder, reads)
        SubGraph.AddOutputs(builder, writes)
        SubGraph.AddOperators(builder, operators)
        graphs = vector([SubGraph.End(builder)])
        all_codes, all_buffers = vector(codes), vector(contents)
        Model.Start(builder)
        Model.AddVersion(builder, 3)
        Model.AddOperatorCodes(builder, all_codes)
        Model.AddSubgraphs(builder, graphs)
        Model.AddBuffers(builder, all_buffers)
        builder.Finish(Model.End(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def tflite(network: dict) -> bytes:
    """The file of a network: `input` and `rows` with `sources`, see `npu_vela.rows_of`."""
    file = File(network.get("seed", 0), network.get("density", 1.0), network.get("levels", 256))
    source = file.tensor("input", network["input"])
    outputs: list[int] = []
    read: set[int] = set()
    for row in network["rows"]:
        sources = [source if at < 0 else outputs[at] for at in row["sources"]]
        read.update(at for at in row["sources"] if at >= 0)
        outputs.append(file.layer(row, sources))
    last = [outputs[at] for at in range(len(outputs)) if at not in read]
    return file.finish([source], last)


def compiled(file: Path, job: dict) -> dict:
    """Layers and summary that Vela writes of a file."""
    folder = file.parent / "out"
    words = [str(Path(sys.executable).parent / "vela"), str(file), "--accelerator-config", job["accelerator"]]
    words += ["--output-dir", str(folder), "--verbose-performance"]
    if "system" in job:
        config = next(Path(sys.prefix).rglob("Arm/vela.ini"))
        words += ["--config", str(config), "--system-config", job["system"], "--memory-mode", job["memory"]]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stdout + done.stderr)[-600:]}
    with next(folder.glob("*_per-layer.csv")).open(newline="") as text:
        layers = list(csv.DictReader(text))
    with next(folder.glob("*_summary_*.csv")).open(newline="") as text:
        (summary,) = csv.DictReader(text)
    weights = [line for line in done.stdout.splitlines() if "weight" in line.lower()]
    return {"layers": layers, "summary": summary, "said": weights}


def main() -> None:
    found = []
    for job in json.loads(Path(sys.argv[1]).read_text()):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "network.tflite"
            file.write_bytes(tflite(job["network"]))
            found.append({"name": job["name"], **compiled(file, job)})
            print(job["name"], job["accelerator"], found[-1].get("error", "")[:300], file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
