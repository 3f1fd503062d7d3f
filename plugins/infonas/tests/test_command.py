"""The command line: from nothing to an encoder that a specification names."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from nasplug_infonas.embedder import Embedder

import nasplug as nas
from nasplug.cli import main

SPACE = "nasbench201"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("enc") / "enc.safetensors"
    words = "infonas pretrain --space nasbench201 --limit 300 --epochs 2 --lr 0.01 --samples 50 --json --out"
    assert main([*words.split(), str(path)]) == 0
    return path


def test_pretrain_writes_an_encoder_and_says_how_good_it_is(encoder):
    facts = Embedder.load(encoder).facts
    assert (facts["graphs"], facts["held_out"], facts["epochs"]) == (270, 30, 2)
    assert {"operation_accuracy", "validity", "uniqueness"} <= set(facts["metrics"])


def test_vectors_of_a_space_serve_a_specification(encoder, tmp_path, capsys):
    vectors = tmp_path / "vectors.npz"
    words = ["infonas", "embed", "--space", SPACE, "--encoder", str(encoder), "--kind", "mean", "--out", str(vectors)]
    assert main(words) == 0
    assert "architectures: 15625" in capsys.readouterr().out
    with np.load(vectors, allow_pickle=False) as file:
        assert file["vectors"].shape == (15625, 16)
    options = {"encoder": str(encoder), "kind": "mean", "vectors": str(vectors), "initial": 4, "per_round": 4}
    study = nas.search(
        space=SPACE, evaluator=Counted(), strategy={"infonas.bo": options}, trials=12, batch=4, progress=False
    )
    assert len({trial.architecture.key for trial in study.trials}) == 12
    wrong = {**options, "kind": "codes"}
    with pytest.raises(nas.NasplugError, match="belong to another space, encoder or embedding"):
        nas.search(space=SPACE, evaluator=Counted(), strategy={"infonas.bo": wrong}, trials=1, progress=False)


class Counted:
    """Counts 3 x 3 convolutions."""

    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"score": float(run.trial.architecture.genotype.count("nor_conv_3x3"))})


def test_label_and_train(encoder, tmp_path, capsys):
    study, networks, out = tmp_path / "s.sqlite", tmp_path / "networks.npz", tmp_path / "info.safetensors"
    nas.search(
        nas.ImageClassification(limit=100),
        space=nas.component(SPACE, channels=4, cells=1),
        trials=2,
        epochs=1,
        storage=study,
        progress=False,
    )
    assert main(["infonas", "label", "--study", str(study), "--images", "8", "--out", str(networks)]) == 0
    assert "networks: 2" in capsys.readouterr().out
    words = f"infonas train --space {SPACE} --limit 60 --epochs 1 --width 2 --top-k 5 --json".split()
    assert main([*words, "--networks", str(networks), "--start", str(encoder), "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["labelled_networks"] == 2
    assert Embedder.load(out).dense is not None


def test_a_wrong_space_is_a_message(tmp_path, capsys):
    assert main(["infonas", "pretrain", "--space", "nasbench1o1", "--out", str(tmp_path / "e")]) == 2
    assert "did you mean 'nasbench101'" in capsys.readouterr().err


def test_help_and_announcement_load_no_torch():
    program = (
        "import sys, nasplug.cli as c; c.main(['infonas', '--help']); c.main(['list', 'strategy']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pretrain" in done.stdout
    assert "infonas.screen" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
