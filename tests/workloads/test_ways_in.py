"""Products of random networks: every way in counts what torch's own counter counts, and every tensor is stored once."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from nasplug.contract.errors import DataError, TaskError  # noqa: E402
from nasplug.cost.counts import count_macs, plain_operators  # noqa: E402
from nasplug.workloads.extract import extract  # noqa: E402
from nasplug.workloads.onnx import read_onnx  # noqa: E402

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def fully_convolutional(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A random network of one to three dimensions that ends in a convolution."""
    draw = random.Random(seed)
    dimensions, channels = 1 + seed % 3, draw.choice((2, 4))
    shape = (channels, *(draw.randint(6, 9) for _ in range(dimensions)))
    layers: list[nn.Module] = []
    for _ in range(draw.randint(2, 4)):
        groups, out = draw.choice((1, 2)), draw.choice((2, 4, 6))
        kernel = tuple(draw.choice((1, 2, 3)) for _ in range(dimensions))
        if draw.random() < 0.4:
            layer = TRANSPOSED[dimensions](channels, out, kernel, draw.choice((1, 2)), groups=groups)
        else:
            dilation = draw.choice((1, 2)) if min(shape[1:]) > 6 else 1
            layer = CONVOLUTIONS[dimensions](
                channels, out, kernel, draw.choice((1, 2)), 2, dilation, groups, bias=draw.random() < 0.5
            )
        layers += [layer, NORMS[dimensions](out), draw.choice((nn.ReLU(), nn.SiLU(), nn.Identity()))]
        channels = out
    layers.append(CONVOLUTIONS[dimensions](channels, 3, 1))
    return nn.Sequential(*layers), shape


class Tokens(nn.Module):
    """Attention, recurrent layers, a bilinear layer, einsum, and weights that are shared."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        self.width, self.uses = 2 * draw.randint(2, 5), draw.randint(1, 3)
        self.attention = nn.MultiheadAttention(self.width, 2, batch_first=True)
        kind = draw.choice((nn.LSTM, nn.GRU, nn.RNN))
        self.recurrent = kind(self.width, self.width, draw.choice((1, 2)), batch_first=True)
        self.bilinear = nn.Bilinear(self.width, self.width, 5)
        self.shared, self.norm = nn.Linear(self.width, self.width), nn.LayerNorm(self.width)
        self.mixing = nn.Parameter(torch.randn(self.width, self.width))

    def forward(self, x):
        x = x + self.attention(x, x, x, need_weights=False)[0]
        for _ in range(self.uses):
            x = torch.relu(self.shared(self.norm(x)))
        x = torch.einsum("btc,cd->btd", x, self.mixing)
        x = x + torch.einsum("btu,buc->btc", torch.einsum("btc,buc->btu", x, x), x)
        x = self.recurrent(x)[0]
        return self.bilinear(x, x)


def reference(network: nn.Module, shape: tuple[int, ...]) -> int:
    """What torch's own counter says, with the bilinear layer's two products, which it does not know."""
    bilinear = [module for module in network.modules() if isinstance(module, nn.Bilinear)]
    own = sum(shape[0] * m.out_features * m.in2_features * (m.in1_features + 1) for m in bilinear)
    with torch.no_grad(), plain_operators(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2 + own


def drawn(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(seed)
    if seed % 4 < 3:
        return fully_convolutional(seed)
    network = Tokens(seed)
    return network, (2 + seed % 5, network.width)


SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_modules_and_programs(seed):
    network, shape = drawn(seed)
    expected = reference(network, shape)
    assert expected > 0
    assert count_macs(network, shape) == expected
    assert int(extract(network, shape).macs.sum()) == expected
    program = torch.export.export(network.eval(), (torch.zeros(1, *shape),)).module()
    assert count_macs(program, shape) == expected
    assert int(extract(program, shape).macs.sum()) == expected


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed % 4 < 3][:9])
@pytest.mark.filterwarnings("ignore")
def test_onnx(seed, dynamo, tmp_path):
    pytest.importorskip("onnxscript")
    network, shape = drawn(seed)
    path = tmp_path / "net.onnx"
    torch.onnx.export(network.eval(), (torch.zeros(1, *shape),), str(path), dynamo=dynamo, verbose=False)
    found, expected = read_onnx(path), extract(network, shape)
    assert int(found.macs.sum()) == reference(network, shape)
    assert int(found.stored_weights.sum()) == int(expected.stored_weights.sum())


@pytest.mark.parametrize("seed", [3, 7, 11, 15, 19, 23])
def test_each_tensor_is_stored_once(seed):
    network, shape = drawn(seed)
    found = extract(network, shape)
    norms = {id(p) for module in network.modules() if isinstance(module, nn.LayerNorm) for p in module.parameters()}
    matrices = sum(p.numel() for p in network.parameters() if p.dim() > 1 and id(p) not in norms)
    assert int(found.stored_weights.sum()) == matrices
    assert type(found).from_json(found.to_json()) == found


@pytest.mark.parametrize("uses", [1, 2, 5])
def test_only_work_grows_with_use(uses):
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))

        def forward(self, x):
            for _ in range(uses):
                x = torch.relu(self.layer(x))
            return x

    found = extract(Again(), (8, 4, 4))
    assert int(found.stored_weights.sum()) == 576
    assert int(found.macs.sum()) == uses * 576 * 16


def test_a_recurrent_layer_behind_a_branch_on_values():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(12, 20, batch_first=True)

        def forward(self, x):
            y = self.layer(x)[0]
            return y if y.sum() > 0 else -y

    found = extract(Branch(), (16, 12))
    assert int(found.macs.sum()) == count_macs(Branch(), (16, 12)) == 16 * 80 * 32
    assert int(found.stored_weights.sum()) == 80 * 32


def test_an_operator_without_a_rule_is_named():
    @torch.library.custom_op("nasplug_test::product", mutates_args=())
    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x.transpose(-1, -2)

    product.register_fake(lambda x: x @ x.transpose(-1, -2))

    class Custom(nn.Module):
        def forward(self, x):
            return product(x)

    with pytest.raises(TaskError, match=r"nasplug_test\.product"):
        extract(Custom(), (4, 4))


def test_an_onnx_operator_without_a_rule_is_named(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("w", kind, [4, 3], [0.0] * 12)
    node = helper.make_node("Product", ["x", "w"], ["y"], domain="elsewhere")
    values = [helper.make_tensor_value_info("x", kind, [1, 4]), helper.make_tensor_value_info("y", kind, [1, 3])]
    graph = helper.make_graph([node], "g", values[:1], values[1:], initializer=[weight])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "net.onnx")
    with pytest.raises(DataError, match="Product"):
        read_onnx(tmp_path / "net.onnx")
