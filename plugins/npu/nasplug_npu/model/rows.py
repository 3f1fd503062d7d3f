"""Layers as the model sees them: numbers only, equal layers once, many networks end to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError
from nasplug.workloads.workload import OPERATIONS, Workload

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Columns taken from workloads as they are.
_SHARED = (
    *("operation", "n", "ci", "hi", "wi", "co", "ho", "wo", "kh", "kw", "sh", "sw", "dh", "dw", "groups"),
    *("weight_bits", "input_bits", "output_bits", "weight_density", "input_density", "bias", "stored"),
)
#: Derived ones: elements read, whether the only reader and writer are neighbours, whether inputs and outputs stay in
#: the unit, the bands in which a group of layers is computed then, and how many elementwise layers follow that a unit
#: could do on its outputs before it stores them (-1 for such a layer itself).
COLUMNS = (*_SHARED, "reads", "from_previous", "to_next", "kept_in", "kept_out", "bands", "chained")
_columns = attrgetter(*_SHARED)
_READS = len(_SHARED)
_WRITTEN = [COLUMNS.index(name) for name in ("n", "co", "ho", "wo")]
#: Columns of a map, what is made of it, its windows, their stride and dilation, in height and width.
_AXES = [
    [COLUMNS.index(name) for name in names]
    for names in (("hi", "ho", "kh", "sh", "dh"), ("wi", "wo", "kw", "sw", "dw"))
]
_CONV, _FC, _MATMUL, _CONCAT = (OPERATIONS.index(name) for name in ("conv", "fc", "matmul", "concat"))
_ELEMENTWISE = frozenset(OPERATIONS.index(name) for name in ("add", "mul", "scale", "lut"))
#: Elementwise layers in a row, at most.
_CHAIN = 2


def pack(workload: Workload) -> Array:
    """A workload's rows as one matrix (L, columns), all that the cost of a layer depends on.

    Raises:
        DataError: It has no rows.
    """
    rows = len(workload)
    if not rows:
        raise DataError("the network has no layers to price", where="nasplug_npu")
    packed = np.zeros((len(COLUMNS), rows))
    packed[: len(_SHARED)] = _columns(workload)
    reads = packed[_READS] = packed[1:5].prod(axis=0)
    # Additions and concatenations read what all their sources wrote; products read one map, and weights or a second.
    readers = [0] * rows
    several = []
    for row, sources in enumerate(workload.sources):
        for source in sources:
            if source >= 0:
                readers[source] += 1
        if len(sources) > 1:
            several.append(row)
    if several:
        outputs = packed[_WRITTEN].prod(axis=0).tolist()
        kinds = packed[0].tolist()
        for row in several:
            if kinds[row] == _CONCAT:  # sources have channels of their own, and all are written side by side
                packed[_READS, row] = outputs[row]
            elif kinds[row] != _MATMUL:
                own = float(reads[row])
                packed[_READS, row] = sum([outputs[at] if at >= 0 else own for at in workload.sources[row]])
    chained = [
        row > 0 and sources == (row - 1,) and readers[row - 1] == 1 for row, sources in enumerate(workload.sources)
    ]
    packed[_READS + 1] = chained
    packed[_READS + 2] = [*chained[1:], False]
    packed[_READS + 5] = 1
    kinds = packed[0].tolist()
    if not _ELEMENTWISE.isdisjoint(kinds):
        _chain(packed[_READS + 6], kinds, workload.sources, readers)
    return packed.T.copy()


def _chain(chained: Array, kinds: list[float], sources: Sequence[tuple[int, ...]], readers: list[int]) -> None:
    """Counts for every layer the elementwise ones that follow it, and marks these.

    They follow the first of their sources that nobody else reads, up to as many in a row as a unit has buffers for.
    """
    heads: dict[int, int] = {}
    for row, kind in enumerate(kinds):
        if kind not in _ELEMENTWISE:
            continue
        for source in sources[row]:
            head = heads.get(source, source)
            if source >= 0 and readers[source] == 1 and kinds[head] != _CONCAT and chained[head] < _CHAIN:
                heads[row], chained[row] = head, -1
                chained[head] += 1
                break


@dataclass(frozen=True, eq=False)
class Rows:
    """Layers as columns of numbers, (L, 1) each: layers go down, and hardware points across, (P,).

    Attributes:
        matrix: (L, columns), see `COLUMNS`.
    """

    matrix: Array

    def __len__(self) -> int:
        return len(self.matrix)

    def __getattr__(self, name: str) -> Array:
        try:
            column: Array = np.ascontiguousarray(self.matrix[:, COLUMNS.index(name), None])
        except ValueError:
            raise AttributeError(name) from None
        self.__dict__[name] = column
        return column

    def kind(self, *names: str) -> Mask:
        """Which rows are of these operations."""
        if names not in self._kinds:
            self._kinds[names] = np.isin(self.operation, [OPERATIONS.index(name) for name in names])
        return self._kinds[names]

    @cached_property
    def _kinds(self) -> dict[tuple[str, ...], Mask]:
        return {}

    @cached_property
    def matmul(self) -> Mask:
        """Products of two feature maps."""
        found: Mask = self.operation == _MATMUL
        return found

    @cached_property
    def mac(self) -> Mask:
        """Rows that the array computes: the first three kinds."""
        found: Mask = self.operation <= _MATMUL
        return found

    @cached_property
    def depthwise(self) -> Mask:
        """Convolutions without a sum over channels."""
        found: Mask = (self.operation == _CONV) & (self.groups > 1) & (self.groups == self.ci)
        return found

    @cached_property
    def taps(self) -> Array:
        """Kernel elements."""
        found: Array = self.kh * self.kw
        return found

    @cached_property
    def units(self) -> Array:
        """Independent pieces of a row: groups of a convolution, matrices of a batch, channels where none are summed."""
        grouped = np.where(self.matmul, self.n, self.groups)
        return np.where(self.mac, grouped, self.ci)

    @cached_property
    def reduction(self) -> Array:
        """Input channels summed."""
        return np.where(self.matmul | ~self.mac, self.ci, self.ci / self.groups)

    @cached_property
    def filters(self) -> Array:
        """Output channels per unit of the array's work; all of them for a depthwise layer."""
        return np.where(self.depthwise | self.matmul, self.co, self.co / self.groups)

    @cached_property
    def repeats(self) -> Array:
        """How often the array does the same work: groups that are not a depthwise layer, matrices of a batch."""
        return np.where(self.depthwise, 1.0, np.where(self.mac, self.units, 1.0))

    @cached_property
    def needed(self) -> Rows:
        """The layers with maps of which only the pixels stand that some window covers.

        Windows with gaps between them, as of a 1x1 kernel with stride 2, become windows side by side.
        """
        matrix = self.matrix
        for size, out, kernel, stride, dilation in _AXES:
            k, s = matrix[:, kernel], matrix[:, stride]
            gaps = (s > k) & ((matrix[:, dilation] == 1) | (k == 1)) & (matrix[:, out] * k < matrix[:, size])
            if not gaps.any():
                continue
            matrix = matrix.copy() if matrix is self.matrix else matrix
            covered = matrix[gaps, out] * matrix[gaps, kernel]
            matrix[gaps, _READS] *= covered / matrix[gaps, size]
            matrix[gaps, size], matrix[gaps, stride] = covered, matrix[gaps, kernel]
            matrix[gaps, dilation] = 1
        return self if matrix is self.matrix else Rows(matrix)

    @cached_property
    def positions(self) -> Array:
        """Output positions, those of a batch included where weights are shared."""
        found: Array = self.ho * self.wo
        return np.where(self.matmul, found, found * self.n)

    @cached_property
    def macs(self) -> Array:
        """Multiply-accumulates."""
        products = self.n * self.ho * self.wo * self.co * self.taps * (self.ci / self.groups)
        return np.where(self.mac, products, 0.0)

    @cached_property
    def weights(self) -> Array:
        """Constant operands, biases not counted."""
        count = self.co * self.taps * (self.ci / self.groups)
        return np.where(self.mac & ~self.matmul, count, 0.0)

    @cached_property
    def second(self) -> Array:
        """Elements of the second operand that are not constants."""
        return np.where(self.matmul, self.n * self.ci * self.co, 0.0)

    @cached_property
    def outputs(self) -> Array:
        """Elements written."""
        found: Array = self.n * self.co * self.ho * self.wo
        return found

    @cached_property
    def second_bits(self) -> Array:
        """Width of the operand that is not the input: weights, or the second map."""
        return np.where(self.matmul, self.input_bits, self.weight_bits)


class Memo:
    """Numbers equal layers, so that each is evaluated once."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._blocks: list[Array] = []

    def __len__(self) -> int:
        return len(self._places)

    def numbers(self, matrix: Array) -> list[int]:
        """The number of each row; new rows get the next ones."""
        raw, size = matrix.tobytes(), matrix.shape[1] * 8
        known, found, fresh = self._places, [], []
        for row, start in enumerate(range(0, len(raw), size)):
            key = raw[start : start + size]
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
                fresh.append(row)
            found.append(number)
        if fresh:
            self._blocks.append(matrix[fresh])
        return found

    @property
    def matrix(self) -> Array:
        """All different rows, in the order of their numbers."""
        return np.concatenate(self._blocks) if self._blocks else np.empty((0, len(COLUMNS)))


@dataclass(frozen=True, eq=False)
class Batch:
    """Many networks end to end.

    Attributes:
        rows: The different layers.
        index: Index of the network that each layer belongs to.
        starts: Beginning of each network in `index`.
        ends: Last layer that reads the output of each layer (numbered over all networks).
        inputs: Elements and bits of the input of each network, and the last layer that reads it, (A, 3).
        workloads: The networks.
    """

    rows: Rows
    index: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    inputs: Array
    workloads: tuple[Workload, ...]

    @classmethod
    def of(cls, workloads: Iterable[Workload]) -> Self:
        """Takes networks together; none may be empty."""
        workloads = tuple(workloads)
        memo = Memo()
        index: list[Any] = []
        starts: list[Any] = []
        ends: list[Any] = []
        inputs: list[Any] = []
        for workload in workloads:
            start = len(index)
            matrix = pack(workload)
            starts.append(start)
            index.extend(memo.numbers(matrix))
            last, first = last_readers(workload)
            ends.extend([start + row for row in last])
            inputs.append((float(np.prod(matrix[0, 1:5])), matrix[0, 16], start + first))
        return cls(
            Rows(memo.matrix),
            np.array(index, dtype=np.intp),
            np.array(starts, dtype=np.intp),
            np.array(ends, dtype=np.intp),
            np.array(inputs).reshape(-1, 3),
            workloads,
        )

    def __len__(self) -> int:
        return len(self.starts)

    def peak_bits(self, align: int = 1) -> Array:
        """Most bits of feature maps that are alive at the same time, (A,), see `peak_bits`."""
        if align not in self._peaks:
            self._peaks[align] = self._peak_bits(align)
        return self._peaks[align]

    @cached_property
    def _peaks(self) -> dict[int, Array]:
        return {}

    def _peak_bits(self, align: int) -> Array:
        rows = self.rows
        sizes = rows.n * np.ceil(rows.co / align) * align * rows.ho * rows.wo * rows.output_bits
        sizes = np.where(rows.kind("concat"), 0.0, sizes)[self.index, 0]  # its sources are written side by side
        return peak_bits(sizes, self.ends, self.starts, self.inputs)

    def sums(self, amounts: Array) -> Array:
        """Amounts of the different layers, (U, F), added up over each network, (A, F)."""
        found: Array = self._layers @ amounts
        return found

    @cached_property
    def _layers(self) -> Any:
        """How often each network has each layer, as a sparse matrix (A, U)."""
        from scipy.sparse import csr_array

        bounds = np.append(self.starts, len(self.index))
        return csr_array((np.ones(len(self.index)), self.index, bounds), shape=(len(self), len(self.rows)))


def last_readers(workload: Workload) -> tuple[list[int], int]:
    """For every row, the last one that reads its output (itself, if none does), and the same for the input."""
    last = list(range(len(workload)))
    first = 0
    concat = OPERATIONS.index("concat")
    kinds = workload.operation.tolist()
    for row in range(len(last) - 1, -1, -1):
        # Sources of a concatenation are parts of its output and live as long.
        until = last[row] if kinds[row] == concat else row
        for source in workload.sources[row]:
            if source < 0:
                first = max(first, until)
            elif last[source] < until:
                last[source] = until
    return last, first


def peak_bits(sizes: Array, ends: npt.NDArray[np.intp], starts: npt.NDArray[np.intp], inputs: Array) -> Array:
    """The largest sum of maps that are alive while a layer runs: from its writer to its last reader, both included.

    Args:
        sizes: Bits of every output, (L,).
        ends: Row of the last reader, (L,).
        starts: First row of each network, (A,).
        inputs: Elements, bits and last reader of each network's input, (A, 3).
    """
    change: Array = -np.bincount(ends + 1, weights=sizes, minlength=len(sizes) + 1).astype(np.float64)
    change[:-1] += sizes
    first = inputs[:, 0] * inputs[:, 1]
    change[starts] += first
    np.subtract.at(change, inputs[:, 2].astype(np.intp) + 1, first)
    alive = np.cumsum(change)[:-1]
    return np.maximum.reduceat(alive, starts)
