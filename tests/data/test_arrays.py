from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nasplug.data
from nasplug.contract.errors import DataError
from nasplug.data import ImageArrays

X = np.zeros((4, 5, 6, 3), np.uint8)
Y = np.array([0, 1, 1, 0])


def test_shape_classes_and_label_type():
    arrays = ImageArrays(X, Y.astype(np.uint8))
    assert arrays.input_shape == (3, 5, 6)
    assert arrays.classes == ("0", "1")
    assert arrays.num_classes == 2
    assert arrays.y_train.dtype == np.int64
    assert ImageArrays(X[..., 0], Y).input_shape == (1, 5, 6)


def test_floats_become_float32_and_bytes_are_not_copied():
    assert ImageArrays(X.astype(np.float64), Y).x_train.dtype == np.float32
    assert np.shares_memory(ImageArrays(X, Y).x_train, X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x_train": X, "y_train": Y[:3]}, "4 images and labels of shape"),
        ({"x_train": X, "y_train": Y[:, None]}, "labels of shape"),
        ({"x_train": X, "y_train": Y.astype(float)}, "not integers"),
        ({"x_train": X, "y_train": Y - 1}, "negative"),
        ({"x_train": X, "y_train": Y, "classes": ("only", "two", "three")[:1]}, "a label is 1"),
        ({"x_train": X, "y_train": Y * 0}, "only one class"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "no images"),
        ({"x_train": X[0, 0], "y_train": Y}, r"\(N, H, W\)"),
        ({"x_train": X.astype(np.int32), "y_train": Y}, "uint8"),
        ({"x_train": X * np.float32("nan"), "y_train": Y}, "NaN"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y}, "the test images are"),
        ({"x_train": X, "y_train": Y, "x_val": X.astype(np.float32), "y_val": Y}, "the val images are"),
        ({"x_train": X, "y_train": Y, "x_val": X}, "images but no labels"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 5, "classes": ("a", "b")}, "a label is 6"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        ImageArrays(**arguments, where="the file")
    assert str(caught.value).startswith("the file: ")


def test_importing_the_package_is_light():
    code = (
        "import sys, nasplug.data, nasplug.tasks;"
        "print([m for m in ('torch', 'numpy', 'PIL', 'sklearn', 'pytorch_lightning') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_task_knows_its_shape_without_torch(tmp_path):
    np.savez(tmp_path / "it.npz", x_train=np.zeros((40, 5, 6), np.uint8), y_train=np.arange(40) % 4)
    code = (
        "import sys; from nasplug.data import Npz, Idx, Cifar, ImageFolder, Digits;"
        "from nasplug.tasks import ImageClassification; task = ImageClassification(Npz(sys.argv[1]));"
        "assert (task.input_shape, task.outputs) == ((1, 5, 6), 4); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "it.npz")], check=True, timeout=120)


def test_unknown_name():
    with pytest.raises(AttributeError, match="Dgits"):
        _ = nasplug.data.Dgits
    assert set(nasplug.data.__all__) <= set(dir(nasplug.data))
