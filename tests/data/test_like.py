"""Images that follow the configuration of weights."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import SpecError
from nasplug.data.folder import ImageFolder
from nasplug.data.like import prepare_like, read_config
from nasplug.data.settings import Loading
from nasplug.tasks.classification import ImageClassification

pytest.importorskip("timm")


def test_configurations_of_both_libraries():
    timm, torchvision = read_config("timm:test_vit"), read_config("torchvision:inception_v3")
    assert timm.size == (160, 160)
    assert torchvision.size == (299, 299)
    assert torchvision.mean == (0.485, 0.456, 0.406)
    assert torchvision.statistics(1)[0] == pytest.approx((0.449,), abs=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet1888", "torchvision:resnet1888", "torchvision:resnet18:V9"])
def test_unknown_weights(name):
    with pytest.raises(SpecError, match="there are no weights"):
        read_config(name)


@pytest.mark.parametrize(("size", "expected"), [(None, 160), (24, 24)])
def test_a_folder_takes_the_size_unless_it_says_one(tmp_path, size, expected):
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index in range(12):
            image = Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8))
            image.save(root / name / f"{index}.png")
    source = ImageFolder(str(root), size=size)
    found = prepare_like(source, "timm:test_vit", {})
    assert found.input_shape == (3, expected, expected)
    assert tuple(found.mean) == read_config("timm:test_vit").mean
    assert source.size == size
    assert ("160 x 160" in found.remark) == (expected != 160)
    task = ImageClassification(source, loading=Loading(like="timm:test_vit"))
    batch = next(iter(task.datamodule().val_dataloader()))[0]
    x = found.val.x[found.val.index[0]] / 255
    expected_pixels = (x - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(batch[0].permute(1, 2, 0), expected_pixels, atol=1e-5)
    assert task.preprocessing["size"] == [expected, expected]
    assert task.preprocessing["std"] == list(found.std)


def test_like_without_normalisation_is_refused():
    with pytest.raises(SpecError, match="are normalised"):
        ImageClassification(loading=Loading(like="timm:test_vit", normalise=False))
