"""Tests of `nasplug_darts_lp.folding.operators`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.folding.operators import conv_integer, matmul_integer
from torch import nn


def test_operators_are_exact_products():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 256, (2, 6, 7, 5), generator=generator, dtype=torch.uint8)
    weight = torch.randint(0, 256, (4, 3, 3, 2), generator=generator, dtype=torch.uint8)
    found = conv_integer(codes, weight, 7, 128, [2, 1], [1, 0, 2, 1], [1, 2], 2)
    padded = nn.functional.pad(codes.double() - 7, (0, 1, 1, 2))
    expected = nn.functional.conv2d(padded, weight.double() - 128, None, (2, 1), 0, (1, 2), 2)
    assert found.dtype == torch.int32
    assert torch.equal(found.double(), expected)
    rows, columns = codes[:, 0, 0], weight[0].flatten(1)[:, :5].t()
    assert torch.equal(matmul_integer(rows, columns, 3, 128).long(), (rows.long() - 3) @ (columns.long() - 128))
    torch.library.opcheck(conv_integer, (codes, weight, 7, 128, [2, 1], [1, 0, 2, 1], [1, 2], 2))
