from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasplug.data import ImageArrays


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Every test has a cache of its own, outside the folders it reads."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NASPLUG_CACHE", str(folder))
    return folder


@pytest.fixture
def real_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not beside the checkout ({folder})")
    return folder


@pytest.fixture
def numbered() -> ImageArrays:
    """60 tiny images; image i holds the pixel value i, so that every batch tells which images it is made of."""
    values = np.arange(60, dtype=np.float32)
    return ImageArrays(np.broadcast_to(values[:, None, None], (60, 4, 4)), np.arange(60) % 3)
