"""A program: runs the ONNX file on stdin in onnxruntime on the CPU, and prints what it costs.

python -m nasplug.cost.deployed.run_onnxruntime BATCH REPEATS WARMUP THREADS < FILE
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nasplug.cost.deployed.timing import measured

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


def load(content: bytes, batch: int, threads: int) -> Callable[[], object]:
    """Returns what runs the network once, on random numbers.

    Args:
        content: ONNX file.
        batch: Number of inputs of an inference.
        threads: Threads of one operator.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feeds = {each.name: example(each.type, each.shape, batch) for each in session.get_inputs()}
    return lambda: session.run(None, feeds)


def example(kind: str, shape: list[Any], batch: int) -> np.ndarray[Any, Any]:
    """Returns random numbers for an input of the file; whole numbers are 0, which every vocabulary has.

    Args:
        kind: Type of the input, as onnxruntime names it.
        shape: Shape of the input; what is not a number may have any size, and the first of them is the batch.
        batch: Number of inputs.
    """
    sizes = [size if isinstance(size, int) else (batch if index == 0 else 1) for index, size in enumerate(shape)]
    if kind in _WHOLE:
        return np.zeros(sizes, _WHOLE[kind])
    return np.random.default_rng(0).standard_normal(sizes).astype(_TYPES[kind])


if __name__ == "__main__":
    _batch, _repeats, _warmup, _threads = map(int, sys.argv[1:])
    import onnxruntime  # noqa: F401  # so that its code does not count as memory of the network

    _content = sys.stdin.buffer.read()
    measured(lambda: load(_content, _batch, _threads), repeats=_repeats, warmup=_warmup)
