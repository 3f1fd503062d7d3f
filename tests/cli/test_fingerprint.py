from __future__ import annotations

import json

import pytest
import yaml

from tests.support.volumes import write_decathlon, write_npz


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))


def test_a_folder_is_measured_and_settings_proposed(cli, tmp_path):
    found = cli("fingerprint", write_decathlon(tmp_path / "d", 3))
    assert found.code == 0, found.err
    assert "3 cases of 3 patients" in found.out
    assert "median 18" in found.out
    assert "shell" in found.out
    assert "2-D" in found.out
    assert "3-D" in found.out


def test_json(cli, tmp_path):
    found = cli("fingerprint", write_npz(tmp_path / "v.npz", 2), "--dimensions", 3, "--memory", 4, "--json").json
    (plan,) = found["plans"]
    assert plan["patch_size"] == [20, 16, 16]
    assert plan["depth"] == len(plan["strides"])
    assert [case["name"] for case in found["fingerprint"]["cases"]] == ["case0", "case1"]


def test_the_data_of_a_specification(cli, tmp_path):
    data = {"decathlon": {"path": str(write_decathlon(tmp_path / "d", 2))}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"task": {"segmentation": {"data": data}}, "space": "timm"}))
    assert "2 cases of 2 patients" in cli("fingerprint", tmp_path / "s.yaml").out
    (tmp_path / "t.yaml").write_text(yaml.safe_dump({"task": "image_classification", "space": "timm"}))
    assert "its task has no volumes" in cli("fingerprint", tmp_path / "t.yaml").err


def test_what_is_not_a_data_set(cli, tmp_path):
    found = cli("fingerprint", tmp_path / "nothing")
    assert found.code == 2
    assert "nothing' does not exist" in found.err
    (tmp_path / "sub-01").mkdir()
    found = cli("fingerprint", tmp_path)
    assert found.code == 2
    assert "is not a folder with dataset.json" in found.err
    assert "`nifti_pairs` reads" in found.err
    (tmp_path / "dataset.json").write_text("{")
    assert "cannot read dataset.json" in cli("fingerprint", tmp_path).err


def test_a_folder_of_nnunet(cli, tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "MRI"}, "labels": {"background": 0}}))
    assert "there is no imagesTr" in cli("fingerprint", tmp_path).err
