from __future__ import annotations

import sys
from pathlib import Path

import pytest

#: Writers of the benchmarks' files, which several modules share.
SUPPORT = Path(__file__).parent / "support"
if str(SUPPORT) not in sys.path:
    sys.path.append(str(SUPPORT))


@pytest.fixture
def real_data() -> Path:
    folder = Path(__file__).parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not beside the checkout ({folder})")
    return folder
