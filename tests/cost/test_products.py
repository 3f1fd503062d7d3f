from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs
from nasplug.cost.counts import count_macs


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.mark.parametrize(
    ("function", "inputs", "macs"),
    [
        (lambda x, y: x[0] @ y[0], [[5], [5]], 5),
        (lambda x, y: x[0] @ y[0], [[3, 4], [4]], 12),
        (lambda a, x, y: torch.addmv(a[0], x[0], y[0]), [[3], [3, 4], [4]], 12),
        (lambda a, x, y: torch.addbmm(a[0], x[0], y[0]), [[3, 5], [2, 3, 4], [2, 4, 5]], 2 * 3 * 4 * 5),
        (torch.cdist, [[3, 4], [5, 4]], 3 * 5 * 4),
        (lambda x, y: torch.einsum("bij,bkj->bik", x, y), [[3, 4], [5, 4]], 3 * 5 * 4),
    ],
)
def test_products_beyond_the_counters_own_table(function, inputs, macs):
    assert count_macs(Function(function), Inputs.of(inputs)) == macs


def test_a_bilinear_layer_multiplies_twice():
    assert count_macs(nn.Bilinear(4, 5, 3), Inputs.of([[4], [5]])) == 3 * 4 * 5 + 3 * 5
    assert count_macs(nn.Bilinear(4, 5, 3), Inputs.of([[7, 4], [7, 5]])) == 7 * (3 * 4 * 5 + 3 * 5)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_behind_a_branch_on_values(kind, gates):
    """They run with numbers there, in fused operators if nobody forbids it."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(8, 6, batch_first=True)

        def forward(self, x):
            return self.layer(x)[0] if x.abs().sum().item() >= 0 else x

    assert count_macs(Branches(), (5, 8)) == 5 * gates * 6 * (8 + 6)


def test_an_operator_that_nobody_can_count_is_an_error():
    @torch.library.custom_op("nasplug_tests::double_product", mutates_args=())
    def double_product(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    double_product.register_fake(lambda x: torch.empty_like(x))
    with pytest.raises(
        TaskError, match=r"'nasplug_tests.double_product' cannot be counted[\s\S]*register_flop_formula"
    ):
        count_macs(Function(lambda x: double_product(x)), (4, 4))
    torch.utils.flop_counter.register_flop_formula(torch.ops.nasplug_tests.double_product)(
        lambda shape, *_, **__: 2 * shape[0] * shape[1] ** 3
    )
    assert count_macs(Function(lambda x: double_product(x)), (4, 4)) == 64


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.fft.rfft2(x).abs(), "_fft_r2c"),
        (lambda x: torch.fft.irfft(torch.fft.rfft(x)), "_fft"),
        (lambda x: torch.linalg.inv(x + torch.eye(4)), "linalg_inv_ex"),
        (lambda x: torch.linalg.solve(x + torch.eye(4), x), "_linalg_solve_ex"),
        (lambda x: torch.linalg.svd(x).S, "_linalg_svd"),
        (lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(4)), "linalg_cholesky_ex"),
    ],
)
def test_transforms_and_factorisations_are_not_free(function, name):
    with pytest.raises(TaskError, match=rf"{name}[a-z0-9_]*' cannot be counted"):
        count_macs(Function(function), (4, 4))


def test_deformable_convolutions_are_refused():
    ops = pytest.importorskip("torchvision.ops")

    class Deforms(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = ops.DeformConv2d(2, 3, 3, padding=1)

        def forward(self, x, offset):
            return self.layer(x, offset)

    with pytest.raises(TaskError, match="deform_conv2d"):
        count_macs(Deforms(), Inputs.of([[2, 5, 5], [18, 5, 5]]))
