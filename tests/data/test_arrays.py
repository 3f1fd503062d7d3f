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
        ({"x_train": X, "y_train": Y[:, None]}, r"labels of shape[\s\S]*y\.ravel\(\)"),
        ({"x_train": X, "y_train": np.eye(2)[Y]}, r"labels of shape[\s\S]*argmax"),
        ({"x_train": X, "y_train": Y.astype(float)}, r"not integers[\s\S]*astype\(int\)"),
        ({"x_train": X, "y_train": Y.astype(str)}, r"not integers[\s\S]*np\.unique"),
        ({"x_train": X, "y_train": Y - 1}, r"negative[\s\S]*np\.unique"),
        ({"x_train": X, "y_train": Y * 10**12}, r"go up to 10{12}, and there are 4 training images[\s\S]*np\.unique"),
        ({"x_train": X[..., 0].astype(complex), "y_train": Y}, r"abs\(x\)"),
        ({"x_train": X[..., 0].astype(object), "y_train": Y}, r"dtype='float32'"),
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


def test_labels_that_no_training_image_has_are_said():
    assert ImageArrays(X, Y).remark == ""
    assert "no training image has the label 0, though the largest one is 2" in ImageArrays(X, Y + 1, remark="so").remark
    assert ImageArrays(X, Y + 1, remark="so").remark.startswith("so; ")
    assert "label 1, 2, 3, 4, 5, ..., though the largest one is 9" in ImageArrays(X, Y * 9).remark
    assert ImageArrays(X, Y, x_val=X, y_val=Y + 1).remark.startswith("no training image has the label 2")
    assert ImageArrays(X, Y, classes=("a", "b", "c")).remark == ""  # named by somebody who knows


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


@pytest.mark.parametrize("shape", [(20, 3, 32, 32), (20, 1, 8, 8), (20, 4, 16, 12), (20, 3, 5, 100)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_channels_first_are_refused_with_the_transpose(shape, kind):
    x = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    with pytest.raises(DataError, match=r"channels last[\s\S]*x\.transpose\(0, 2, 3, 1\)"):
        ImageArrays(x, np.arange(20) % 2)
    right = ImageArrays(x.transpose(0, 2, 3, 1), np.arange(20) % 2)
    assert right.input_shape == shape[1:]


@pytest.mark.parametrize("shape", [(20, 4, 4, 16), (20, 32, 32, 5), (20, 2, 30, 3), (20, 8, 8, 12)])
def test_channels_last_are_taken(shape):
    height, width, channels = shape[1:]
    assert ImageArrays(np.zeros(shape, np.uint8), np.arange(20) % 2).input_shape == (channels, height, width)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([0, 1000, 4095], np.uint16), [0.0, 1000 / 4095, 1.0]),
        (np.array([-1000, 0, 3000], np.int16), [0.0, 0.25, 1.0]),
        (np.array([0, 7, 255], np.uint16), [0, 7, 255]),
        (np.array([0, 7, 255], np.int64), [0, 7, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
    ],
)
def test_the_advice_for_other_types_wraps_nothing(pixels, expected):
    x = np.broadcast_to(pixels[:, None, None], (3, 5, 5))
    with pytest.raises(DataError, match="floating") as caught:
        ImageArrays(x, np.array([0, 1, 1]))
    advice = caught.value.fix.split("with ")[1].split(": they")[0]
    followed = eval(advice, {"x": x})  # the person's part
    assert ImageArrays(followed, np.array([0, 1, 1])).x_train[:, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("value", [1e300, -1e39, np.inf, np.nan])
def test_what_float32_cannot_hold_is_refused(value):
    with pytest.raises(DataError, match="NaN or infinite pixels, or numbers beyond float32"):
        ImageArrays(np.full((4, 3, 3), value), Y)


WIDE = np.arange(X.size).reshape(X.shape).astype(np.int32) % 257


@pytest.mark.parametrize(
    ("x", "advice"),
    [
        (X.astype(bool), "x.astype('uint8') * 255"),
        (X.astype(np.complex64), "such as abs(x)"),
        (np.zeros(X.shape, np.int32), "they lie in 0..255"),
        (np.full(X.shape, 255, np.int64), "they lie in 0..255"),
        (WIDE, "lie in 0..256: scale all splits alike, with (x / 256.0)"),
        (WIDE - 1, "lie in -1..255: scale all splits alike, with ((x - -1.0) / 256.0)"),
    ],
)
def test_the_advice_brings_pixels_into_range(x, advice):
    with pytest.raises(DataError) as caught:
        ImageArrays(x, Y)
    assert advice in str(caught.value)
