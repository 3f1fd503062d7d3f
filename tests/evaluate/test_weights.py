"""Weights come back as they were kept, or the file is refused by name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from nasplug.contract.errors import NasplugError, StudyError  # noqa: E402
from nasplug.evaluate.weights import read_tensors, save_weights  # noqa: E402


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight


def test_shared_tensors_come_back_under_each_of_their_names(tmp_path):
    network = Tied()
    save_weights(network, tmp_path / "w.safetensors")
    found = read_tensors(tmp_path / "w.safetensors")
    assert sorted(found) == ["first.bias", "first.weight", "second.weight"]
    assert torch.equal(found["second.weight"], network.first.weight)


@pytest.mark.parametrize("damage", [lambda data: data[:20], lambda data: b"", lambda data: b"\xff" * 16 + data])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(2, 2), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=r"cannot read the weights file[\s\S]*w\.safetensors"):
        read_tensors(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(StudyError, match=r"missing\.safetensors"):
        read_tensors(tmp_path / "missing.safetensors")


def test_what_safetensors_cannot_keep_is_said(tmp_path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(NasplugError, match="is not a tensor"):
        save_weights(Odd(2, 2), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
