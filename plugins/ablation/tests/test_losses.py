"""Terms of a loss made zero, wherever they are kept."""

from __future__ import annotations

import pytest
import torch
from nasplug_ablation.network.losses import silence
from nasplug_ablation.network.trace import _call
from torch import nn

from nasplug.contract.errors import SpecError


class Lit(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.count, self.flag, self.nothing = 0.5, 3, True, 0.0
        self.tensor = torch.ones(2)
        self.learned = nn.Parameter(torch.ones(2))
        self.register_buffer("kept", torch.ones(2))
        self.aux = nn.Linear(2, 1)
        self.terms = {"beta": 0.25}
        self.inner = nn.Module()
        self.inner.scale = nn.Parameter(torch.ones(1))

    def extra(self, x):
        return {"loss": x.sum(), "share": 0.5, "n": 3}


@pytest.mark.parametrize(
    ("path", "zero"), [("weight", 0.0), ("count", 0), ("terms.beta", 0.0)], ids=["number", "integer", "mapping"]
)
def test_numbers_become_zero_of_their_type(path, zero):
    module = Lit()
    silence(module, path)
    found = module.terms["beta"] if "." in path else getattr(module, path)
    assert found == zero
    assert type(found) is type(zero)


@pytest.mark.parametrize("path", ["tensor", "learned", "kept", "inner.scale"])
def test_tensors_become_zeros_and_are_learned_no_more(path):
    module = Lit()
    buffers = set(dict(module.named_buffers()))
    silence(module, path)
    found = module.get_parameter(path) if path in ("learned", "inner.scale") else getattr(module, path)
    assert not found.any()
    assert not found.requires_grad
    assert set(dict(module.named_buffers())) == buffers
    if path == "tensor":
        assert "tensor" not in module._parameters


def test_methods_and_modules_answer_zeros_of_the_same_shape():
    module, x = Lit(), torch.ones(3, 2)
    silence(module, "extra")
    silence(module, "aux")
    answer = module.extra(x)
    assert (answer["loss"].item(), answer["share"], answer["n"]) == (0.0, 0.0, 3)
    assert module.aux(x).shape == (3, 1)
    assert not module.aux(x).any()


@pytest.mark.parametrize(
    ("path", "what"), [("flag", "bool"), ("terms", "dict"), ("nothing", "is 0 already"), ("no", "no 'no'")]
)
def test_anything_else_is_refused(path, what):
    with pytest.raises(SpecError) as caught:
        silence(Lit(), path)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("output", "shape", "others"),
    [
        (torch.ones(2, 3), (2, 3), None),
        (torch.zeros(1), (1,), None),
        ((torch.ones(2, 3), torch.ones(1)), (2, 3), 1),
        ([torch.ones(2)], (2,), 0),
        ((), None, None),
        (None, None, None),
        ("text", None, None),
    ],
)
def test_a_call_is_described_whatever_it_answers(output, shape, others):
    found = _call((torch.ones(2, 3),), {"mask": torch.ones(1, dtype=torch.int64)}, output)
    assert (found.output, found.others) == (shape, others)
    assert found.inputs == {0: (2, 3), "mask": (1,)}
    assert found.same == (0 if shape == (2, 3) else None)
