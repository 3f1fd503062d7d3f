from __future__ import annotations

import numpy as np
import pytest

from nasplug.data import ImageDataModule, Npz
from nasplug.data.npz import _decode_payload

pytestmark = pytest.mark.data


def test_fashion_mnist(real_data):
    source = Npz(str(real_data / "fashion_mnist_12k" / "fashion_mnist_12k.npz"))
    data = ImageDataModule(source, limit=1000)
    assert data.input_shape == (1, 28, 28)
    assert data.num_classes == 10
    assert len(data.prepared.test) == 2000
    assert np.bincount(source.load().y_train[data.prepared.train.index]).tolist() == [90] * 10


def test_a_part_of_the_cifar10_jpegs(real_data, tmp_path):
    with np.load(real_data / "cifar10_jpeg" / "cifar10_jpeg.npz") as file:
        part = {"header": file["header"], "classes": file["classes"]}
        for split, count in (("train", 300), ("test", 50)):
            offsets = file[f"offsets_{split}"][: count + 1]
            part[f"offsets_{split}"] = offsets
            part[f"payload_{split}"] = file[f"payload_{split}"][: offsets[-1]]
            part[f"y_{split}"] = file[f"y_{split}"][:count]
    np.savez(tmp_path / "part.npz", **part)
    arrays = Npz(str(tmp_path / "part.npz")).load()
    assert arrays.x_train.shape == (300, 32, 32, 3)
    assert arrays.classes[0] == "airplane"
    means = arrays.x_train.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.491, 0.482, 0.447], atol=0.03)
    again = _decode_payload(part["header"].tobytes(), part["payload_test"].tobytes(), part["offsets_test"], "test")
    np.testing.assert_array_equal(again, arrays.x_test)
