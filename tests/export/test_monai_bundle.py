"""A found network as a MONAI bundle: MONAI's own command segments as `nasplug predict` does."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from nasplug.contract.errors import TaskError
from nasplug.export.bundle import write_bundle
from nasplug.export.exporter import Found, MonaiBundle
from nasplug.export.predictor import open_network
from nasplug.testing.found import example_found
from tests.support.segmented import TURNED, short_study
from tests.support.volumes import balls, write_nifti

#: Dimensions, preparation, what the data set says, and whether all flips are averaged.
RESAMPLED = (3, {"spacing": [1.2, 1.2, 2.5]}, {"modality": {"0": "CT"}}, True)
SLICES = (2, {"intensity": "minmax"}, {"labels": {"0": "background", "5": "core", "9": "shell"}}, False)


@pytest.mark.parametrize(
    ("dimensions", "preparation", "about", "flips"), [RESAMPLED, pytest.param(*SLICES, marks=pytest.mark.slow)]
)
def test_monais_command_and_nasplug_predict_segment_alike(tmp_path, monkeypatch, dimensions, preparation, about, flips):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    study = short_study(tmp_path / "data", dimensions, preparation, about, flips)
    found = Found.of(study, study.best)
    written = MonaiBundle().export(found, tmp_path / "bundle")
    assert {path.relative_to(tmp_path / "bundle").as_posix() for path in written.values()} == {
        "configs/inference.json",
        "configs/metadata.json",
        "models/model.ts",
        "docs/README.md",
    }
    page = (tmp_path / "bundle" / "docs" / "README.md").read_text()
    assert "python -m monai.bundle run --config_file configs/inference.json" in page
    assert "read_bundle" not in page, "that reads another kind of folder"
    write_bundle(study, study.best, found.network, tmp_path / "plain")

    scans = tmp_path / "scans"
    for number in (7, 8):
        write_nifti(scans / f"scan_{number}.nii.gz", balls((22, 17, 19), number)[0], TURNED)
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/inference.json"]
    command += ["--meta_file", "configs/metadata.json", "--dataset_dir", scans, "--output_dir", tmp_path / "monai"]
    done = subprocess.run(command, cwd=tmp_path / "bundle", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ours = list(open_network(tmp_path / "plain").predict(sorted(scans.iterdir()), tmp_path / "ours"))
    assert len(ours) == 2
    for segmented in ours:
        expected, answer = (nibabel.load(path) for path in (segmented.mask, tmp_path / "monai" / segmented.mask.name))
        np.testing.assert_allclose(answer.affine, TURNED)
        np.testing.assert_allclose(expected.affine, TURNED)
        assert answer.get_data_dtype() == expected.get_data_dtype() == np.uint8
        mask, same = (np.asarray(image.dataobj) for image in (answer, expected))
        assert mask.shape == same.shape == (22, 17, 19)
        assert set(np.unique(same)) <= set(found.preprocessing["values"])
        assert (same > 0).sum() > 20
        assert (mask != same).sum() <= 0.002 * (same > 0).sum()
    _check_metadata(written, dimensions, study, about)


def _check_metadata(written, dimensions, study, about):
    said = json.loads(written["metadata"].read_text())
    (taken,) = said["network_data_format"]["inputs"].values()
    (given,) = said["network_data_format"]["outputs"].values()
    assert (taken["num_channels"], taken["spatial_shape"]) == (1, [12] * dimensions)
    assert taken["format"] == ("hounsfield" if "modality" in about else "magnitude")
    assert given["channel_def"] == {"0": "background", "1": "core", "2": "shell"}
    assert said["eval_metrics"]["val_dice"] == study.best.metrics["val_dice"]


def test_other_networks_are_refused(tmp_path):
    with pytest.raises(TaskError, match="only networks of the task `segmentation`"):
        MonaiBundle().export(example_found("image"), tmp_path)
