"""The workload of a network as arrays, one entry per layer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json
from nasplug.contract.wording import plural

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Kinds of layers. `conv` includes depthwise and grouped ones, `fc` multiplies by constants, `matmul` two activations;
#: `scale` is an affine map per channel that no convolution could take in, `lut` an activation function of its own,
#: `other` whatever has no name here: `names` says what it was.
OPERATIONS = (
    "conv",
    "fc",
    "matmul",
    "maxpool",
    "avgpool",
    "add",
    "mul",
    "scale",
    "norm",
    "softmax",
    "lut",
    "concat",
    "resize",
    "other",
)
#: Operations that multiply and accumulate.
COMPUTE = ("conv", "fc", "matmul")
#: Shape columns, in the order of the signature.
SHAPES = (
    *("n", "ci", "hi", "wi", "co", "ho", "wo"),
    *("kh", "kw", "sh", "sw", "dh", "dw", "ph", "pw", "groups"),
)
BITS = ("weight_bits", "input_bits", "output_bits")
DENSITIES = ("weight_density", "input_density")


@dataclass(frozen=True, eq=False)
class Workload:
    """The layers of one network in the order of execution, one entry of every array per layer.

    A layer reads (n, ci, hi, wi) and writes (n, co, ho, wo). Matrix products are rows with 1x1 kernels: a linear
    layer on T tokens has ho = T, a product of B pairs of matrices n = B. Batch normalisation and activation functions
    that follow a layer directly are part of its row.

    Attributes:
        names: Qualified module names, or the operation where there is no module.
        operation: Index into `OPERATIONS`.
        n, ci, hi, wi: Batch, channels, height and width of the input (the first one, if there are several).
        co, ho, wo: Channels, height and width of the output.
        kh, kw, sh, sw, dh, dw, ph, pw: Kernel, stride, dilation and padding before, in height and width.
        groups: Number of groups of a convolution.
        weight_bits, input_bits, output_bits: Precision of the operands.
        weight_density, input_density: Share of operands that are not zero.
        bias: Whether a constant is added per output channel, a folded normalisation's included.
        post: Activation function that follows, such as `relu`; empty if none.
        sources: Rows whose outputs the layer reads; -1 is the input of the network.
        stored: Whether the row brings its own weights; False where a row before holds the same tensor, as for a layer
            that is used again or a step of a recurrent one.
    """

    names: tuple[str, ...]
    operation: Integers
    n: Integers
    ci: Integers
    hi: Integers
    wi: Integers
    co: Integers
    ho: Integers
    wo: Integers
    kh: Integers
    kw: Integers
    sh: Integers
    sw: Integers
    dh: Integers
    dw: Integers
    ph: Integers
    pw: Integers
    groups: Integers
    weight_bits: Integers
    input_bits: Integers
    output_bits: Integers
    weight_density: Floats
    input_density: Floats
    bias: npt.NDArray[np.bool_]
    post: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]
    stored: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """The kinds by name."""
        return tuple(OPERATIONS[index] for index in self.operation)

    def mask(self, *operations: str) -> npt.NDArray[np.bool_]:
        """Which rows are of these kinds."""
        return np.isin(self.operation, [OPERATIONS.index(operation) for operation in operations])

    @cached_property
    def depthwise(self) -> npt.NDArray[np.bool_]:
        """Rows that convolve every channel by itself."""
        found: npt.NDArray[np.bool_] = self.mask("conv") & (self.groups > 1) & (self.groups == self.ci)
        return found

    @cached_property
    def macs(self) -> Integers:
        """Multiply-accumulates of each row."""
        products = self.n * self.ho * self.wo * self.co * self.kh * self.kw * (self.ci // self.groups)
        return np.where(self.mask(*COMPUTE), products, 0)

    @cached_property
    def weights(self) -> Integers:
        """Constant operands of each row, biases not counted."""
        count = self.co * self.kh * self.kw * (self.ci // self.groups)
        return np.where(self.mask("conv", "fc"), count, 0)

    @cached_property
    def stored_weights(self) -> Integers:
        """Constant operands that no row before holds: their sum is what the network stores."""
        return np.where(self.stored, self.weights, 0)

    @cached_property
    def inputs(self) -> Integers:
        """Elements of the first input; both of a matrix product."""
        second = np.where(self.mask("matmul"), self.n * self.ci * self.co, 0)
        found: Integers = self.n * self.ci * self.hi * self.wi + second
        return found

    @cached_property
    def outputs(self) -> Integers:
        """Elements of the output."""
        found: Integers = self.n * self.co * self.ho * self.wo
        return found

    def signature(self) -> str:
        """Equal for workloads that cost the same on any hardware: everything but names."""
        digest = hashlib.sha256()
        for column in ("operation", *SHAPES, *BITS, *DENSITIES, "bias"):
            digest.update(np.ascontiguousarray(getattr(self, column)).tobytes())
        digest.update(json.dumps([self.post, self.sources]).encode())
        if not self.stored.all():
            digest.update(np.ascontiguousarray(self.stored).tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Equal in everything but names."""
        return isinstance(other, Workload) and len(self) == len(other) and self.signature() == other.signature()

    def __hash__(self) -> int:
        return hash(self.signature())

    def differences(self, other: Workload) -> list[str]:
        """Where two workloads differ, one line each, for messages and tests.

        Densities within a thousandth count as equal: random weights are exactly zero now and then.
        """
        if len(self) != len(other):
            return [
                f"{plural(len(self), 'row')} and {plural(len(other), 'row')}: {self.operations} and {other.operations}"
            ]
        lines = []
        for row, name in enumerate(self.names):
            for column in ("operation", *SHAPES, *BITS, *DENSITIES, "bias", "post", "sources", "stored"):
                one, two = getattr(self, column)[row], getattr(other, column)[row]
                if abs(one - two) > 1e-3 if column in DENSITIES else one != two:
                    lines.append(f"row {row} ({name}, {other.names[row]}): {column} {one} and {two}")
        return lines

    def replace(self, **columns: Any) -> Self:
        """A copy with other columns; numbers apply to all rows, and bits and densities only to those that compute.

        Example:
            `workload.replace(weight_bits=4, weight_density=0.5)`
        """
        changed = {}
        for name, value in columns.items():
            old = getattr(self, name)
            if np.isscalar(value) and isinstance(old, np.ndarray):
                where = self.mask("conv", "fc") if name.startswith("weight") else np.ones(len(self), dtype=bool)
                value = np.where(where, value, old).astype(old.dtype)
            changed[name] = value
        return dataclasses.replace(self, **changed)

    def to_json(self) -> dict[str, Json]:
        """Plain data."""
        data: dict[str, Json] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            data[field.name] = value.tolist() if isinstance(value, np.ndarray) else list(value)
        data["operation"] = list(self.operations)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            DataError: A column is missing, unknown, or of another length.
        """
        try:
            operation = [OPERATIONS.index(name) for name in data["operation"]]
            columns: dict[str, Any] = {
                "names": tuple(data["names"]),
                "operation": np.array(operation, dtype=np.int64),
                "bias": np.array(data["bias"], dtype=bool),
                "stored": np.array(data.get("stored", [True] * len(data["names"])), dtype=bool),
                "post": tuple(data["post"]),
                "sources": tuple(tuple(int(row) for row in rows) for rows in data["sources"]),
            }
            columns |= {name: np.array(data[name], dtype=np.int64) for name in (*SHAPES, *BITS)}
            columns |= {name: np.array(data[name], dtype=np.float64) for name in DENSITIES}
            lengths = {len(column) for column in columns.values()}
            if len(lengths) != 1 or set(data) | {"stored"} != set(columns):
                raise ValueError(f"columns {sorted(data)} of lengths {sorted(lengths)}")
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DataError("not a workload", where="Workload", why=f"{type(error).__name__}: {error}") from error
        return cls(**columns)

    def table(self) -> list[dict[str, Json]]:
        """One dictionary per row, for people."""
        return [
            {
                "name": name,
                "operation": self.operations[row],
                "input": f"{self.ci[row]}x{self.hi[row]}x{self.wi[row]}",
                "output": f"{self.co[row]}x{self.ho[row]}x{self.wo[row]}",
                "kernel": f"{self.kh[row]}x{self.kw[row]}" if self.operation[row] <= 4 else "",
                "groups": int(self.groups[row]),
                "macs": int(self.macs[row]),
                "weights": int(self.weights[row]),
                "post": self.post[row],
            }
            for row, name in enumerate(self.names)
        ]
