from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not beside the checkout ({folder})")
    return folder
