"""A program: runs the ExecuTorch program on stdin on the CPU, and prints what it costs.

python -m nasplug.cost.deployed.run_executorch REPEATS WARMUP THREADS < FILE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from nasplug.cost.deployed.timing import measured


def load(content: bytes) -> Callable[[], object]:
    """Returns what runs the program once, on random numbers.

    Args:
        content: ExecuTorch program.
    """
    import torch
    from executorch.runtime import Runtime

    method: Any = Runtime.get().load_program(content).load_method("forward")
    described = method.metadata
    inputs = []
    for index in range(described.num_inputs()):
        tensor = described.input_tensor_meta(index)
        whole = tensor.dtype() not in (5, 6, 7)  # half, float and double in the numbering of torch
        inputs.append(torch.zeros(tensor.sizes(), dtype=torch.long) if whole else torch.randn(tensor.sizes()))
    return lambda: method.execute(inputs)


if __name__ == "__main__":
    _repeats, _warmup, _threads = map(int, sys.argv[1:])
    import executorch.runtime  # noqa: F401  # so that its code does not count as memory of the network
    import torch

    torch.set_num_threads(_threads)
    _content = sys.stdin.buffer.read()
    measured(lambda: load(_content), repeats=_repeats, warmup=_warmup)
