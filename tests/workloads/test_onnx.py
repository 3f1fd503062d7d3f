"""Workloads of ONNX files: the same layers as in the network they were exported from."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import DataError

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
nn = torch.nn

from nasplug.workloads.extract import extract  # noqa: E402
from nasplug.workloads.onnx import read_onnx  # noqa: E402


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.side = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = torch.relu(self.dw(x) + self.side(x))
        return self.head(torch.cat([x, y], 1).mean((2, 3)))


def exported(network, shape, path):
    torch.onnx.export(network.eval(), (torch.zeros(1, *shape),), str(path), dynamo=True, verbose=False)
    return path


def test_an_exported_network_has_the_same_layers(tmp_path):
    network = Residual()
    nn.init.normal_(network.stem[1].bias)  # else the exporter leaves the bias out
    found = read_onnx(exported(network, (3, 17, 15), tmp_path / "net.onnx"))
    expected = extract(network, (3, 17, 15))
    assert found.operations == expected.operations
    assert found.differences(expected) == []


def test_attention(tmp_path):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out, self.norm = nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16)

        def forward(self, x):
            q, k, v = self.qkv(self.norm(x)).reshape(-1, 7, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
            attended = torch.softmax(q @ k.transpose(-1, -2) * 0.5, -1) @ v
            return self.out(attended.transpose(1, 2).reshape(-1, 7, 16)) + x

    network = Attention()
    found = read_onnx(exported(network, (7, 16), tmp_path / "net.onnx"))
    expected = extract(network, (7, 16))
    assert found.macs.sum() == expected.macs.sum()
    assert sorted(found.operations) == sorted(expected.operations)


def model(*nodes, shape=("n", 3, 8, 8), initializers=()):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", kind, None)],
        initializer=list(initializers),
    )
    return helper.make_model(graph)


def test_padding_that_is_worked_out_and_unknown_operators(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("w", kind, [4, 3, 3, 3], [0.0] * 108)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("CumSum", ["a", "axis"], ["y"]),
    ]
    axis = helper.make_tensor("axis", onnx.TensorProto.INT64, [], [1])
    onnx.save(model(*nodes, initializers=[weight, axis]), tmp_path / "m.onnx")
    found = read_onnx(tmp_path / "m.onnx", bits=4)
    assert found.operations == ("conv", "other")
    assert (found.ho[0], found.wo[0], found.sh[0], found.ph[0]) == (4, 4, 2, 0)
    assert found.weight_bits[0] == 4


def test_files_that_cannot_be_priced_say_why(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_onnx(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(DataError, match="not an ONNX model"):
        read_onnx(tmp_path / "text.onnx")
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    onnx.save(model(node, shape=("n", 3, "h", "w")), tmp_path / "open.onnx")
    with pytest.raises(DataError, match="open"):
        read_onnx(tmp_path / "open.onnx")


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(0.0, None, "relu"), (0.0, 6.0, "relu6"), (1.0, None, "clamp"), (-1.0, 1.0, "clamp")]
)
def test_a_clip_is_the_activation_that_its_bounds_make(tmp_path, low, high, kind):
    from onnx import TensorProto, helper

    bounds = {"low": low, "high": high}
    made = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3]),
                helper.make_node("Clip", ["c", *(name for name, value in bounds.items() if value is not None)], ["y"]),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 5, 5])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 3, 3])],
            [
                helper.make_tensor("w", TensorProto.FLOAT, [3, 2, 3, 3], [0.5] * 54),
                *(helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in bounds.items() if v is not None),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(made, str(tmp_path / "clip.onnx"))
    found = read_onnx(tmp_path / "clip.onnx")
    assert kind in str(found.post[0]) + str(found.operations[-1])
    assert ("relu6" in str(found.post[0])) == (kind == "relu6")


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_recurrent_layer_multiplies_inputs_and_states(tmp_path, kind, gates, directions):
    helper = onnx.helper
    shapes = {"w": (directions, gates * 5, 3), "r": (directions, gates * 5, 5)}
    held = [onnx.numpy_helper.from_array(torch.ones(shape).numpy(), name) for name, shape in shapes.items()]
    direction = "forward" if directions == 1 else "bidirectional"
    node = helper.make_node(kind, ["x", "w", "r"], ["y"], hidden_size=5, direction=direction)
    given = [helper.make_tensor_value_info("x", 1, (7, 1, 3))]
    answers = [helper.make_tensor_value_info("y", 1, (7, directions, 1, 5))]
    graph = helper.make_graph([node], "g", given, answers, held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "r.onnx")
    found = read_onnx(tmp_path / "r.onnx")
    assert found.operations == ("fc", "fc") * directions
    assert [int(each) for each in found.macs] == [7 * 3 * gates * 5, 7 * 5 * gates * 5] * directions
    own = [tuple(sources) for sources in found.sources]
    assert own[::2] == [own[0]] * directions  # both directions read what comes in
    assert [sources[-1] for sources in own[1::2]] == list(range(0, 2 * directions, 2))
