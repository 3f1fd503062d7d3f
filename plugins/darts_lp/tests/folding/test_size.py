"""Tests of `nasplug_darts_lp.folding.size`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import fold, save, size
from nasplug_darts_lp.folding.size import pack, packed, unpack


@pytest.mark.parametrize("bits", range(1, 9))
def test_packing_loses_nothing(bits):
    generator = torch.Generator().manual_seed(bits)
    odd = 2 * torch.randint(-(2 ** (bits - 1)), 2 ** (bits - 1), (29,), generator=generator) + 1
    assert torch.equal(unpack(pack(odd, bits), bits, 29, odd=True), odd.int())
    if bits > 1:
        most = 2 ** (bits - 1) - 1
        numbers = torch.randint(-most, most + 1, (29,), generator=generator)
        stream = pack(numbers, bits)
        assert len(stream) == -(-29 * bits // 8)
        assert torch.equal(unpack(stream, bits, 29), numbers.int())


def test_size_counts_bits(plain, ready, tmp_path):
    folded = fold(ready(plain(), weight_bits=3, activation_bits=2, first_last_bits=8), (3, 11, 11))
    found = size(folded)
    assert found.weights == 8 * 3 * 9 + (8 * 9 * 3 + 7) // 8 + (6 * 8 * 3 + 7) // 8 + 4 * 6 * 4
    assert 4 * (255 + 8 * 3 + 8 * 3) < found.thresholds < 4 * (3 * 255 + 8 * 3 + 8 * 3 + 6 * 255)
    assert found.total == sum(tensor.numel() * tensor.element_size() for tensor in packed(folded).values())
    written = save(folded, tmp_path / "folded.safetensors")
    assert found.total < written < found.total + 4096


@pytest.mark.parametrize("uses", [1, 2, 5])
def test_a_layer_that_is_used_again_is_stored_once(uses, ready):
    class Again(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.layer = torch.nn.Conv2d(8, 8, 3, padding=1)
            self.head = torch.nn.Conv2d(8, 4, 1)

        def forward(self, x):
            x = torch.relu(self.stem(x))
            for _ in range(uses):
                x = torch.relu(self.layer(x))
            return self.head(x)

    folded = fold(ready(Again(), weight_bits=4, activation_bits=4), (3, 8, 8))
    assert sum(map(len, folded.products.values())) == 2 + uses
    once = fold(ready(Again().train(False), weight_bits=4, activation_bits=4), (3, 8, 8))
    assert size(folded).weights == size(once).weights == (3 * 8 * 9 + 8 * 4) + 8 * 8 * 9 // 2
