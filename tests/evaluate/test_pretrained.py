"""Weights from elsewhere: every way to find them, every way that they can fail to fit."""

from __future__ import annotations

import logging

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nasplug.contract.errors import SpecError, TrialError
from nasplug.evaluate.pretrained import Source, find, find_named, load, read, stripped
from nasplug.spaces.timm import create

timm = pytest.importorskip("timm")


def same(network, state, but=()):
    own = network.state_dict()
    return all(torch.equal(own[name], value) for name, value in state.items() if not name.startswith(tuple(but)))


def changed(network):
    """The network with other numbers in every tensor, those of batch normalisation included."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor))
    return network


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub's cache of its own, without a network."""
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert file_download.constants is constants
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path


def in_hub_cache(cache, repository, tensors):
    """Writes a file where the hub's client keeps it."""
    folder = cache / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    save_file(tensors, snapshot / "model.safetensors")


def test_the_hubs_cache_fills_a_timm_model_of_other_classes_and_channels(cache):
    donor = changed(timm.create_model("test_resnet"))
    in_hub_cache(cache, donor.pretrained_cfg["hf_hub_id"], donor.state_dict())
    network = create("test_resnet", (1, 32, 32), 7)
    head = {name: value.clone() for name, value in network.get_classifier().state_dict().items()}
    source = find("hub", network)
    assert source.name == "timm:test_resnet.r160_in1k"
    assert find_named("hub", source.name) == source
    assert find_named("hub", "timm:a_model_of_later") is None
    load(network, source)
    first = donor.pretrained_cfg["first_conv"]
    assert same(network, donor.state_dict(), but=(first, "fc"))
    summed = donor.get_submodule(first).weight.sum(1, keepdim=True)
    torch.testing.assert_close(network.get_submodule(first).weight, summed)  # timm's rule for one channel
    assert same(network.get_classifier(), head)


def test_a_missing_file_of_a_hub_is_one_error_that_says_where_to_put_it(cache):
    network = create("test_resnet", (3, 32, 32), 7)
    with pytest.raises(SpecError, match="not in the cache") as caught:
        find("hub", network)
    assert str(cache / "hub") in caught.value.fix
    assert "models--timm--test_resnet.r160_in1k" in caught.value.fix
    with pytest.raises(SpecError, match="not a timm model"):
        find("hub", nn.Linear(2, 2))


def test_torchvision_weights_come_from_torchs_cache(cache, monkeypatch):
    models = pytest.importorskip("torchvision.models")
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(SpecError, match="not in the cache") as caught:
        find("torchvision:squeezenet1_1", nn.Identity())
    assert "squeezenet1_1-b8a52dc0.pth into" in caught.value.fix
    donor = changed(models.squeezenet1_1())
    folder = cache / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(donor.state_dict(), folder / "squeezenet1_1-b8a52dc0.pth")
    network = models.squeezenet1_1(num_classes=5)
    source = find("torchvision:squeezenet1_1", network)
    assert source.name == "torchvision:squeezenet1_1:IMAGENET1K_V1"
    load(network, source)
    assert same(network, donor.state_dict(), but=("classifier",))
    for wrong in ("torchvision:squeezenet9", "torchvision:squeezenet1_1:V9"):
        with pytest.raises(SpecError, match="no weights"):
            find(wrong, network)


def refuse(*_, **__):
    raise OSError("no network")


def net(classes=3, width=4):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 36, classes))


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "network._orig_mod.", "model.backbone."])
def test_checkpoints_of_lightning_lose_their_prefix(tmp_path, prefix):
    donor = changed(net())
    state = {prefix + name: value for name, value in donor.state_dict().items()} | {"loss.weight": torch.ones(3)}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    network = net()
    for stated in {prefix or None, None}:
        load(network, Source("last", tmp_path / "last.ckpt"), prefix=stated, partial=not prefix)
        assert same(network, donor.state_dict())
        changed(network)


def test_a_prefix_that_nothing_has():
    with pytest.raises(SpecError, match=r"has the prefix 'student\.'"):
        stripped({"model.a": torch.ones(1)}, ["a"], "student.")
    with pytest.raises(SpecError, match="2 times, under 'student' and 'teacher'"):
        stripped({"student.a": torch.ones(1), "teacher.a": torch.ones(1)}, ["a"], None)


def test_the_head_may_differ_and_it_is_said(tmp_path, caplog):
    donor, network = changed(net(5)), net(3)
    save_file(donor.state_dict(), tmp_path / "w.safetensors")
    fresh = network[3].weight.clone()
    with caplog.at_level(logging.WARNING):
        load(network, Source("w", tmp_path / "w.safetensors"))
    assert same(network, donor.state_dict(), but=("3.",))
    assert torch.equal(network[3].weight, fresh)
    assert "the head keeps 2 fresh tensors: 3.weight, 3.bias" in caplog.text


def test_what_does_not_fit_is_said_and_partial_takes_the_rest(tmp_path):
    state = changed(net()).state_dict()
    state["1.weight"] = torch.ones(9)
    state["extra"] = torch.ones(1)
    del state["1.bias"]
    save_file(state, tmp_path / "w.safetensors")
    network, source = net(), Source("w", tmp_path / "w.safetensors")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(TrialError, match="1 missing") as caught:
        load(network, source)
    assert "(1.bias); 1 unexpected (extra); 1 of another shape (1.weight (9,) for (4,))" in str(caught.value)
    assert same(network, before)  # nothing is half filled
    load(network, source, partial=True)
    assert torch.equal(network[0].weight, state["0.weight"])
    assert torch.equal(network[1].weight, before["1.weight"])


def test_weights_of_something_else_are_refused_even_in_part(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(TrialError, match="do not fit"):
        load(net(), Source("w", tmp_path / "w.safetensors"), partial=True)


class Evil:
    def __reduce__(self):
        return print, ("code of the file ran",)


def test_files_that_need_pickle_are_not_opened(tmp_path, capsys):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(SpecError, match="cannot read the weights"):
        read(tmp_path / "evil.ckpt")
    assert "ran" not in capsys.readouterr().out
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(SpecError, match="cannot read"):
        read(tmp_path / "cut.safetensors")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(SpecError, match="no tensors by name"):
        read(tmp_path / "list.pt")
    with pytest.raises(SpecError, match="there is no weights file"):
        find(str(tmp_path / "absent.pt"), net())


def test_a_transformer_takes_weights_of_another_image_size(tmp_path):
    donor = changed(timm.create_model("test_vit", num_classes=4))
    save_file(donor.state_dict(), tmp_path / "vit.safetensors")
    network = create("test_vit", (3, 64, 64), 4)
    assert network.pos_embed.shape != donor.pos_embed.shape
    load(network, Source("vit", tmp_path / "vit.safetensors"))
    assert same(network, donor.state_dict(), but=("pos_embed",))
    assert same(network.get_classifier(), donor.get_classifier().state_dict())


def test_loading_leaves_random_numbers_alone(tmp_path):
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    network = create("test_resnet", (1, 32, 32), 7)
    before = torch.random.get_rng_state()
    load(network, Source("w", tmp_path / "w.safetensors"))
    assert torch.equal(before, torch.random.get_rng_state())
