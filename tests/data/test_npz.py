from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import DataError
from nasplug.data import Npz

X = np.random.default_rng(0).integers(0, 256, (6, 5, 4)).astype(np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def test_reads_every_split_and_the_names(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(
        path, x_train=X, y_train=Y, x_val=X[:2], y_val=Y[:2], x_test=X[:3], y_test=Y[:3], classes=["a", "b", "c"]
    )
    source = Npz(str(path))
    source.check()
    assert source.name == "mine"
    arrays = source.load()
    np.testing.assert_array_equal(arrays.x_train, X)
    np.testing.assert_array_equal(arrays.y_val, Y[:2])
    np.testing.assert_array_equal(arrays.x_test, X[:3])
    assert arrays.classes == ("a", "b", "c")


def test_reads_other_keys_and_column_labels(tmp_path):
    path = tmp_path / "medmnist.npz"
    np.savez(path, train_images=X, train_labels=Y[:, None], test_images=X[:3], test_labels=Y[:3, None])
    arrays = Npz(str(path), images="{split}_images", labels="{split}_labels").load()
    assert (arrays.y_train == Y).all()
    assert arrays.x_val is None
    with pytest.raises(DataError, match=r"no array 'x_train'[\s\S]*train_images[\s\S]*images:"):
        Npz(str(path)).load()


def test_refuses_pickled_objects(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, x_train=np.array([{"a": 1}], dtype=object), y_train=Y)
    with pytest.raises(DataError, match="cannot read"):
        Npz(str(path)).load()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.98])
def test_refuses_a_truncated_file(tmp_path, keep):
    path = tmp_path / "short.npz"
    np.savez(path, x_train=X, y_train=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(DataError, match="cannot read"):
        Npz(str(path)).load()


def test_refuses_a_flipped_bit(tmp_path):
    path = tmp_path / "flipped.npz"
    np.savez(path, x_train=X, y_train=Y)
    whole = bytearray(path.read_bytes())
    whole[whole.index(X.tobytes()) + 7] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="cannot read"):
        Npz(str(path)).load()


def test_refuses_a_single_array_and_a_missing_file(tmp_path):
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(DataError, match="one array"):
        Npz(str(tmp_path / "one.npy")).load()
    with pytest.raises(DataError, match="does not exist"):
        Npz(str(tmp_path / "no.npz")).check()
    with pytest.raises(DataError, match="is a folder"):
        Npz(str(tmp_path)).load()


def jpeg(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_payload(path, values=(0, 60, 120, 180), **changes):
    files = [jpeg(value) for value in values]
    shared = 300  # any common beginning serves
    assert len({file[:shared] for file in files}) == 1
    rest = [file[shared:] for file in files]
    arrays = {
        "header": np.frombuffer(files[0][:shared], np.uint8),
        "classes": np.array(["dark", "light"]),
    }
    for split, part in (("train", rest), ("test", rest[1:3])):
        arrays[f"payload_{split}"] = np.frombuffer(b"".join(part), np.uint8)
        arrays[f"offsets_{split}"] = np.cumsum([0, *map(len, part)])
        arrays[f"y_{split}"] = (np.arange(len(part)) % 2).astype(np.uint8)
    np.savez(path, **{**arrays, **changes})


def test_decodes_jpeg_payloads_once(tmp_path, monkeypatch):
    path = tmp_path / "jpegs.npz"
    write_payload(path)
    arrays = Npz(str(path)).load()
    assert arrays.x_train.shape == (4, 8, 8, 3)
    assert arrays.classes == ("dark", "light")
    np.testing.assert_allclose(arrays.x_train.mean(axis=(1, 2, 3)), [0, 60, 120, 180], atol=1.5)
    np.testing.assert_array_equal(arrays.x_test, arrays.x_train[1:3])
    monkeypatch.setattr("nasplug.data.npz.decode_image", None)  # a second decoding would fail
    np.testing.assert_array_equal(Npz(str(path)).load().x_train, arrays.x_train)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [([0, 10], "divide the payload"), ([[0, 1]], "divide"), ([0], "divide"), (None, "cannot decode")],
)
def test_refuses_damaged_payloads(tmp_path, offsets, message):
    path = tmp_path / "jpegs.npz"
    if offsets is None:
        write_payload(path, header=np.zeros(300, np.uint8))
    else:
        write_payload(path, offsets_train=np.array(offsets))
    with pytest.raises(DataError, match=message):
        Npz(str(path)).load()
