"""`nasplug predict` with a network that segments: volumes in, masks out."""

from __future__ import annotations

import nibabel
import numpy as np

from nasplug.export.bundle import write_bundle
from tests.support.segmented import TURNED, short_study
from tests.support.volumes import balls, write_nifti


def test_predict_on_the_command_line(tmp_path, monkeypatch, cli):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    study = short_study(tmp_path / "data", 3, {}, {}, flips=False)
    write_bundle(study, study.best, study.network(study.best), tmp_path / "plain")
    scan = write_nifti(tmp_path / "scans" / "scan.nii.gz", balls((22, 17, 19), 9)[0], TURNED)
    (said,) = cli("predict", tmp_path / "plain", tmp_path / "scans", "--out", "out", "--json").json
    mask = np.asarray(nibabel.load(tmp_path / "out" / "scan_seg.nii.gz").dataobj)
    assert said["volumes"] == {"core": (mask == 1).sum() * 4.5, "shell": (mask == 2).sum() * 4.5}
    done = cli("predict", tmp_path / "plain", scan, "--out", "out")
    assert done.out.startswith(f"{scan}  core ")
    assert done.out.rstrip().endswith("scan_seg.nii.gz")
    write_nifti(tmp_path / "holes.nii.gz", np.full((8, 8, 8), np.nan, np.float32))
    write_nifti(tmp_path / "series.nii.gz", np.zeros((8, 8, 8, 2), np.float32))
    (tmp_path / "torn.nii.gz").write_bytes(b"\x1f\x8b torn")
    for name, message in (("holes", "NaN"), ("series", "4-D"), ("torn", "cannot read the NIfTI file")):
        refused = cli("predict", tmp_path / "plain", tmp_path / f"{name}.nii.gz")
        assert refused.code != 0
        assert message in refused.err
