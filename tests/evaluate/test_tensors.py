from __future__ import annotations

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from nasplug.contract.errors import StorageError
from nasplug.evaluate import tensors as module
from nasplug.evaluate.tensors import save_tensors


def test_tensors_and_facts_come_back(tmp_path):
    given = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor([1, 2], dtype=torch.int8)}
    path = save_tensors(tmp_path / "it.safetensors", given, {"kind": "test"})
    found = load_file(path)
    assert {name: value.dtype for name, value in found.items()} == {"a": torch.float32, "b": torch.int8}
    assert all(torch.equal(found[name], value) for name, value in given.items())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"kind": "test"}


@pytest.mark.parametrize("error", [SafetensorError("disk"), OSError("disk")])
def test_a_full_disk_leaves_the_earlier_file_and_says_what_to_do(tmp_path, monkeypatch, error):
    path = save_tensors(tmp_path / "it.safetensors", {"a": torch.zeros(1)})

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(module, "save_file", refuse)
    with pytest.raises(StorageError, match=r"cannot write the policy(.|\n)*disk(.|\n)*it resumes"):
        save_tensors(path, {"a": torch.ones(1)}, what="the policy")
    assert torch.equal(load_file(path)["a"], torch.zeros(1))
    assert list(tmp_path.iterdir()) == [path]
