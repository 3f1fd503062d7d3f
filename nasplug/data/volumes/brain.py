"""An average brain that nilearn ships: real anatomy with nothing to download."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.data.volumes.case import Case, CaseList, Volume, affine_of
from nasplug.data.volumes.source import VolumeSource, listed
from nasplug.optional import available, require

_PURPOSE = "read the brain template"


class BrainTemplate(VolumeSource):
    """The MNI152 template of nilearn with its tissue maps: background, cerebrospinal fluid, grey and white matter.

    It is one brain, the average of 152, and not a set of patients: good for seeing a segmentation run, not for claims
    about one. The axial slices are cut into blocks of neighbours, which stand for patients; every fourth block is kept
    for the test. A voxel belongs to the tissue that is most probable; inside the brain, what is neither grey nor white
    matter is fluid.

    Args:
        resolution: Size of a voxel in millimetres.
        blocks: Number of blocks of slices.

    Raises:
        DataError: There are fewer than eight blocks, or the resolution is out of range.
    """

    def __init__(self, resolution: int = 3, blocks: int = 12) -> None:
        if not 1 <= resolution <= 8 or blocks < 8:
            raise DataError(
                f"resolution={resolution} and blocks={blocks}", where="BrainTemplate", fix="take 1 to 8 mm, 8 blocks"
            )
        self.resolution, self.blocks = resolution, blocks
        self._read: tuple[NDArray[np.float32], NDArray[np.uint8]] | None = None

    def check(self) -> None:
        """See the base class."""
        if not available("nilearn"):
            require("nilearn", extra="medical", purpose=_PURPOSE)

    def load(self) -> CaseList:
        """See the base class."""
        self.check()
        digits = len(str(self.blocks - 1))
        names = [f"block{block:0{digits}d}" for block in range(self.blocks)]
        cases = [
            Case(name, name, split="test" if block % 4 == 3 else "", members=(block,))
            for block, name in enumerate(names)
        ]
        classes = ("background", "fluid", "grey matter", "white matter")
        return CaseList(listed(cases, "BrainTemplate", ""), classes, ("T1",), "BrainTemplate", tuple(range(4)), ())

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        image, label = self._whole()
        where = np.flatnonzero(label.any((0, 1)))
        edges = np.linspace(where[0], where[-1] + 1, self.blocks + 1).round().astype(int)
        low, high = edges[case.members[0]], edges[case.members[0] + 1]
        return Volume(image[None, :, :, low:high], label[:, :, low:high], affine_of((self.resolution,) * 3))

    def _whole(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        if self._read is None:
            datasets = require("nilearn.datasets", extra="medical", purpose=_PURPOSE)

            def array(load: Any) -> NDArray[np.float32]:
                return np.asarray(load(resolution=self.resolution).get_fdata(), np.float32)

            image = array(datasets.load_mni152_template)
            inside = array(datasets.load_mni152_brain_mask) > 0.5
            grey, white = array(datasets.load_mni152_gm_template), array(datasets.load_mni152_wm_template)
            tissue = np.stack([np.clip(1.0 - grey - white, 0.0, 1.0), grey, white]).argmax(0) + 1
            self._read = image, np.where(inside, tissue, 0).astype(np.uint8)
        return self._read

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_read": None}
