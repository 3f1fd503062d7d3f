from __future__ import annotations

import pickle

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.volumes import BrainTemplate, Folds, divide, fingerprint


def test_blocks_of_one_brain():
    source = BrainTemplate(resolution=6, blocks=8)
    facts = fingerprint(source)
    assert facts.classes == ("background", "fluid", "grey matter", "white matter")
    assert len(facts.cases) == 8
    assert facts.spacing == (6, 6, 6)
    tissue = np.sum([case.voxels for case in facts.cases], axis=0)[1:]
    assert 0.3 < tissue[1] / tissue.sum() < 0.7  # grey matter
    assert 0.2 < tissue[2] / tissue.sum() < 0.5
    parts = divide(facts, Folds())
    assert parts.test == (3, 7)
    assert not pickle.loads(pickle.dumps(source))._read


def test_settings_out_of_range():
    with pytest.raises(DataError, match="blocks=3"):
        BrainTemplate(blocks=3)
    with pytest.raises(DataError, match="resolution=0"):
        BrainTemplate(resolution=0)
