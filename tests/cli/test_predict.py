"""`nasplug predict`: files in, classes out, and one message for everything that cannot be looked at."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import nasplug as nas
from nasplug.data import ImageFolder
from nasplug.export.bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A network that tells black from white pictures, as `nasplug export` writes it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NASPLUG_CACHE", str(tmp_path_factory.mktemp("cache")))
    root = tmp_path_factory.mktemp("data")
    for label, level in (("black", 40), ("white", 210)):
        (root / "pictures" / label).mkdir(parents=True)
        for number in range(40):
            pixels = np.random.default_rng(number).normal(level, 20, (6, 6)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "pictures" / label / f"{number:02}.png")
    data = ImageFolder(str(root / "pictures"))
    task = nas.ImageClassification(data, batch_size=8, training=nas.Training(lr=0.05))
    space = {"class_path": "nasplug.testing.synthetic.SyntheticSpace", "init_args": {"length": 1}}
    study = nas.search(task, space=space, strategy="random", trials=1, epochs=4)
    write_bundle(study, study.best, study.network(study.best), root / "bundle")
    patch.undo()
    return root


def test_it_names_the_class_of_every_file(cli, bundle):
    pictures = bundle / "pictures"
    done = cli("predict", "--trust", bundle / "bundle", pictures / "black", pictures / "white" / "03.png")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 41
    assert all(line.split()[-2] == "black" for line in lines[:40])
    assert lines[40].startswith(f"{bundle / 'pictures' / 'white' / '03.png'}  white ")


def test_json_has_every_probability(cli, bundle):
    (said,) = cli("predict", "--trust", bundle / "bundle", bundle / "pictures" / "white" / "00.png", "--json").json
    assert said["class"] == "white"
    assert sum(said["scores"].values()) == pytest.approx(1)
    assert list(said["scores"]) == ["black", "white"]


def test_pictures_of_another_size_and_colour_are_fitted(cli, bundle, tmp_path):
    Image.fromarray(np.full((50, 30, 3), 230, np.uint8)).save(tmp_path / "large.jpg")
    (said,) = cli("predict", "--trust", bundle / "bundle", "large.jpg", "--json").json
    assert said["class"] == "white"


def test_a_folder_that_holds_one_file_alone_is_that_file(cli, bundle, tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "network.onnx").write_bytes(b"not a network")
    picture = bundle / "pictures" / "white" / "00.png"
    done = cli("predict", folder, picture)
    assert "network.onnx" in done.err
    assert "no exported network" not in done.err
    (folder / "other.onnx").write_bytes(b"not a network")
    assert "there is no exported network" in cli("predict", folder, picture).err


def test_what_cannot_be_looked_at_is_one_message(cli, bundle, tmp_path):
    Image.fromarray(np.full((6, 6), 3000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "bare.onnx").write_bytes(b"not a network")
    network = bundle / "bundle"
    for words, message in (
        ([network, "deep.png"], "numbers of any range"),
        ([network, "text.png"], "cannot decode the image"),
        ([network, "nowhere.png"], "does not exist"),
        ([bundle / "nowhere", "text.png"], "there is no exported network"),
        (["bare.onnx", "deep.png"], "bare.onnx"),
    ):
        done = cli("predict", "--trust", *words)
        assert done.code in (2, 3), words
        assert message in done.err
        assert "Traceback" not in done.err
