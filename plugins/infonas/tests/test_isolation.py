"""What surrounds a training leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from nasplug_infonas.isolation import limited


@pytest.mark.parametrize("threads", [3, None])
def test_threads_come_back_even_after_an_error(threads):
    before, seen = torch.get_num_threads(), []

    def body():
        with limited(threads):
            seen.append(torch.get_num_threads())
            torch.set_num_threads(5)  # the body may change them itself
            raise RuntimeError("trouble")

    with pytest.raises(RuntimeError, match="trouble"):
        body()
    assert seen == [threads or before]
    assert torch.get_num_threads() == before
