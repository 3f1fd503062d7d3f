"""Networks: ONNX, programs of torch, exported folders."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.faults.formats.payloads import archive, odd_json
from tests.faults.formats.weights import torch_attacks


def onnx(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    made = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
                helper.make_node("Conv", ["f", "w"], ["c"], kernel_shape=[4, 4]),
                helper.make_node("Flatten", ["c"], ["y"]),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 1, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor("w", TensorProto.FLOAT, [2, 1, 4, 4], [0.5] * 32)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    helper.set_model_props(made, {"nasplug": json.dumps(FACTS)})
    onnx.save(made, str(folder / "network.onnx"))


#: What an exported network says of images.
FACTS = {
    "raw": True, "answers": "classes", "classes": ["a", "b"],
    "preprocessing": {"kind": "image", "size": [4, 4], "channels": 1, "pixels": "uint8", "span": [0, 255]},
}  # fmt: skip


def onnx_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import onnx
    from onnx import helper

    def changed(change: Callable[[Any], None]) -> bytes:
        model = onnx.load_model_from_string(good)
        change(model)
        data: bytes = model.SerializeToString()
        return data

    def outside(model: Any, where: str) -> None:
        weights = model.graph.initializer[0]
        weights.ClearField("float_data")
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": where, "offset": "0", "length": "128"}.items():
            entry = weights.external_data.add()
            entry.key, entry.value = key, value

    sequence = helper.make_value_info("x", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1])))
    for where in ("/etc/passwd", "../../../../../../etc/passwd", "/dev/zero", "missing.bin", ""):
        yield f"with weights in {where!r}", changed(lambda model, where=where: outside(model, where))  # type: ignore[misc]
    yield "of an unknown operator", changed(lambda model: setattr(model.graph.node[0], "op_type", "Nothing"))
    yield "of a foreign domain", changed(lambda model: setattr(model.graph.node[0], "domain", "evil"))
    yield "of a circle", changed(lambda model: model.graph.node[0].input.__setitem__(0, "y"))
    yield "without input", changed(lambda model: model.graph.input.pop())
    yield (
        "of two inputs",
        changed(lambda model: model.graph.input.add().CopyFrom(helper.make_tensor_value_info("z", 1, [1]))),
    )
    yield "without nodes", changed(lambda model: model.graph.node.pop())
    yield "without shape", changed(lambda model: model.graph.input[0].type.ClearField("tensor_type"))
    yield "of a scalar", changed(lambda model: model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, [])))
    yield "of a sequence", changed(lambda model: model.graph.input[0].CopyFrom(sequence))
    yield (
        "of a huge image",
        changed(lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 2**62)),
    )
    yield (
        "of a negative image",
        changed(lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", -4)),
    )
    yield "of another opset", changed(lambda model: setattr(model.opset_import[0], "version", 10**6))
    for what, facts in odd_json(FACTS):
        yield (
            f"whose facts have {what}",
            changed(lambda model, facts=facts: helper.set_model_props(model, {"nasplug": facts})),
        )  # type: ignore[misc]
    yield "whose facts are of depth", changed(lambda model: helper.set_model_props(model, {"nasplug": "[" * 100_000}))


def read_onnx(path: Path) -> object:
    from nasplug.workloads.onnx import read_onnx

    return read_onnx(path)


def predict(path: Path) -> object:
    from nasplug.export.predictor import open_network

    picture = path.parent / "picture.png"
    if not picture.is_file():
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(picture)
    return list(open_network(path).predict([picture]))


def program(folder: Path) -> None:
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = torch.nn.Linear(16, 2)

        def forward(self, pixels: Any) -> Any:
            return self.last(pixels.float().flatten(1))

    program = torch.export.export(Network().eval(), (torch.zeros(1, 1, 4, 4, dtype=torch.uint8),))
    torch.export.save(program, folder / "network.pt2", extra_files={"nasplug.json": json.dumps(FACTS)})


def program_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(good)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    evil = dict(torch_attacks(good, folder))["of torch"]
    for name in parts:
        if not name.endswith((".json", "version", "byteorder", "format")):
            yield f"with a pickle as {name}", archive({**parts, name: evil})
    graph = next(name for name in parts if name.endswith("model.json"))
    call = f"__import__('os').system('touch {folder}/PWNED')"
    text = (
        parts[graph]
        .decode()
        .replace('"sizes": [', f'"sizes": [{{"as_expr": {{"expr_str": "{call}", "hint": null}}}}, ')
    )
    yield "with a size that is code", archive({**parts, graph: text.encode()})


def bundle(folder: Path) -> None:
    """A network as it is exported, without the file of the plugin that made the study."""
    from nasplug.export.bundle import write_bundle
    from nasplug.run.api import run_spec
    from nasplug.run.spec import RunSpec
    from tests.faults.studies import TOY

    spec = {
        "space": {"qnas.conv": {"nodes": 2}},
        "task": {"image_classification": {"limit": 100}},
        "strategy": "random",
        "evaluator": "toy",
        "budget": {"trials": 1},
        "plugins": [str(TOY)],
    }
    study = run_spec(RunSpec.parse(spec))
    write_bundle(study, study.best, study.build(study.best), folder)
    described = folder / "architecture.json"
    data = json.loads(described.read_text())
    data["plugins"], data["needs"]["sources"] = [], []
    described.write_text(json.dumps(data))


def read_bundle(path: Path) -> object:
    from nasplug.export.bundle import read_bundle

    return read_bundle(path.parent)


def predict_folder(path: Path) -> object:
    return predict(path.parent)
