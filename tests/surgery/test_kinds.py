"""Modules of many kinds: each is followed exactly, or refused by name and reason; never a silent wrong function."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from nasplug.surgery import Surgery
from tests.surgery.kinds import KINDS, built, example, inputs_of, result

#: Groups whose size can change, as a count by hand gives them: maps, hidden neurons, heads, groups of normalisations.
SIZES: dict[str, dict[str, int]] = {
    "Siamese": {"trunk.0": 6, "trunk.3": 8},
    "Looped": {"stem": 6},
    "TiedWords": {"up": 10},
    "Rearranged": {"stem": 8, "qkv": 2},
    "AppendedZeros": {"stem": 4},
    "Shuffled": {},
    "SubPixels": {"one": 6, "two": 5},
    "Unshuffled": {"one": 5, "two": 6},
    "Excited": {"stem": 8, "gate.1": 3},
    "Efficient": {"mid": 6},
    "Separate": {"stem": 8, "q": 2},
    "GroupedQueries": {"stem": 7, "q": 2},
    "Rotary": {"stem": 6, "qkv": 2},
    "HeadByHead": {"stem": 8, "values": 4, "values#2": 4, "mlp": 5},
    "Encoder": {"layer.linear1": 12},
    "Normed": {"stem": 4, "up": 12},
    "Decoder": {"one": 4, "two": 6, "up": 5, "side": 3},
    "Pyramid": {"one": 4, "two": 6, "three": 8, "sides.0": 5},
    "Auxiliary": {"stem": 6, "body": 8, "side": 4},
    "ByShape": {"stem": 8, "body": 6},
    "Prototypes": {"stem": 6, "body": 5},
    "Einsums": {"one": 6, "two": 5},
    "Recurrent2d": {},
    "Cells": {"enter": 6, "mlp": 5},
    "Sequences": {"one": 6},
    "Gated": {"film": 5, "stem": 6},
    "Mixed": {"stem": 6},
    "Spatial": {"stem": 6},
    "Cosine": {"hidden": 8},
    "Bilinear": {"one": 6},
    "Dynamic": {},
    "Standardised": {"weight": 5, "stem": 6},
    "Maxout": {},
    "Selected": {"body": 5},
    "Merged": {"stem": 4, "merge": 6},
    "Fourier": {},
    "Sampled": {},
    "Written": {},
    "Outer": {"one": 5},
    "Dense": {"stem": 4, "layers.0.2": 3, "layers.1.2": 3, "layers.2.2": 3},
    "Positions": {"up": 9},
}

#: Groups of fixed size and a part of the reason, beside those that make the outputs.
REFUSED: dict[str, dict[str, str]] = {
    "TiedWords": {"table": "table of an embedding", "table#2": "makes channels in one place and reads them in another"},
    "AppendedZeros": {"wide": "a tensor of fixed size is appended"},
    "Shuffled": {"stem": "combines channels by their position"},
    "Efficient": {"stem": "combines it with a tensor of a size of its own", "slide": "an axis is dropped"},
    "Encoder": {"stem": "AssertionError", "layer.self_attn.in_proj_weight": "MultiheadAttention"},
    "Recurrent2d": dict.fromkeys(("gates", "gates#2", "gates#3"), "combines it with a tensor of a size of its own"),
    "Sequences": {"two": "input.size(-1) must be equal to input_size", "rnn.weight_ih_l0": "rnn (GRU) is not followed"},
    "Spatial": {"map": "a single channel meets many"},
    "Cosine": {"code": "combines it with a tensor of a size of its own"},
    "Bilinear": {"two": "several axes become one"},
    "Dynamic": dict.fromkeys(("stem", "kernels"), "the weight of a convolution in the network (Dynamic) is computed"),
    "Maxout": {"stem": "RuntimeError"},
    "Selected": {"stem": "it is looked up"},
    "Fourier": {"stem": "_fft_r2c in the network (Fourier) is not followed"},
    "Sampled": dict.fromkeys(("stem", "offset"), "grid_sampler_2d in the network (Sampled) is not followed"),
    "Written": dict.fromkeys(("one", "two"), "is invalid for input of size"),
    "Outer": {"two": "no weight reads the channels"},
    "Positions": dict.fromkeys(("stem", "down"), "combines it with a tensor of a size of its own"),
}

#: Groups in which copies or silent channels matter, and a part of the reason.
INEXACT: dict[str, dict[str, str]] = {
    "Separate": {"stem": "normalised over in norm (LayerNorm)"},
    "Normed": {"stem": "normalised over in layer (LayerNorm)"},
    "Merged": {"stem": "normalised over in norm (LayerNorm)"},
    "ByShape": {"stem": "computes with a number that follows"},
    "Spatial": {"stem": "channels are reduced"},
    "Standardised": {"stem": "channels are reduced"},
}


def test_every_kind_has_its_facts() -> None:
    assert set(SIZES) == set(KINDS)
    assert set(REFUSED) | set(INEXACT) <= set(KINDS)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("einops") if request.param == "Rearranged" else None
    return str(request.param)


def test_groups_and_reasons(kind: str) -> None:
    channels = Surgery(built(kind), inputs_of(KINDS[kind][1])).channels
    assert channels.sizes == SIZES[kind]
    for name, reason in REFUSED.get(kind, {}).items():
        assert reason in channels.refused[name]
    others = {name: why for name, why in channels.refused.items() if name not in REFUSED.get(kind, {})}
    assert all("output of the network" in why or "is not followed" in why for why in others.values()), others
    inexact = {group.name: group.inexact_split for group in channels if group.inexact_split or group.inexact_removal}
    assert inexact.keys() == INEXACT.get(kind, {}).keys()
    for name, reason in INEXACT.get(kind, {}).items():
        assert reason in (inexact[name] or "")


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_function_is_kept(kind: str, training: bool) -> None:
    network, x = built(kind), example(KINDS[kind][1])
    surgery = Surgery(network, inputs_of(KINDS[kind][1]))

    def now() -> torch.Tensor:
        return result(network, x, training=training)

    def exact(sizes: Mapping[str, int]) -> list[str]:
        return [name for name in sizes if name not in INEXACT.get(kind, {})]

    before = now()
    surgery.split(dict.fromkeys(exact(surgery.sizes), (0,)))
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    surgery.grow(dict.fromkeys(exact(surgery.sizes), 1))
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    surgery.reorder({name: list(range(size))[::-1] for name, size in surgery.sizes.items()})
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    # a kernel of zeros that is divided by its deviation is nothing that could be compared
    chosen = {name: [1, 2] for name in exact(surgery.sizes) if (kind, name) != ("Standardised", "weight")}
    surgery.mask(chosen)
    silent = now()
    assert silent.isfinite().all()
    assert torch.allclose(silent, before, rtol=0, atol=1e-9) == (not chosen)
    surgery.remove(chosen)
    torch.testing.assert_close(now(), silent, rtol=0, atol=1e-9)
    grown = {name: size + 2 * (name in exact(SIZES[kind])) for name, size in SIZES[kind].items()}
    assert surgery.sizes == {name: size - 2 * (name in chosen) for name, size in grown.items()}
