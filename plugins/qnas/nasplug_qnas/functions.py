"""Function sets: what a node of a Q-NAS chain may be, as data. No torch is needed to search over them.

A function is written as its name. Sets keep their functions in natural order of the names (numbers compare as numbers,
so `conv_3_1_64` comes before `conv_3_1_128`); that order defines the gene indices.

- `conv_K_S_F`: convolution, kernel K, stride S, F filters, batch norm, ReLU;
- `bv1_K_S_F`: residual block, shortcut padded with zero channels;
- `bv1p_K_S_F`: residual block, shortcut projected by a 1 x 1 convolution;
- `max_pool_K_S`: max pooling, window K, stride S;
- `avg_pool_K_S`: average pooling, window K, stride S;
- `no_op`: nothing, the node is left out of the network.

Sets and probabilities: Szwarcman, Civitarese and Vellasco, Applied Soft Computing 120:108674, 2022, and the code
released with it and with Enhanced Q-NAS (Noce, PUC-Rio, 2022).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nasplug.contract.errors import SpecError, UnknownNameError, did_you_mean

Kind: TypeAlias = Literal["conv", "bv1", "bv1p", "max_pool", "avg_pool", "no_op"]

_LAYER = re.compile(r"(?P<kind>conv|bv1p|bv1)_(?P<kernel>[1-9]\d*)_(?P<stride>[1-9]\d*)_(?P<filters>[1-9]\d*)")
_POOL = re.compile(r"(?P<kind>max_pool|avg_pool)_(?P<kernel>[1-9]\d*)_(?P<stride>[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Function:
    """One choice of a node.

    Attributes:
        name: The name it is written as.
        kind: Kind of function.
        kernel: Side of the window; 0 for `no_op`.
        stride: Step of the window; 1 for `no_op`.
        filters: Output channels of a convolution or residual block; 0 for pools and `no_op`, which keep theirs.
    """

    name: str
    kind: Kind
    kernel: int = 0
    stride: int = 1
    filters: int = 0

    @classmethod
    def parse(cls, name: str) -> Function:
        """Reads a function from its name.

        Raises:
            SpecError: If the name has none of the known forms, or is a residual block with a stride, whose identity
                shortcut would not fit.
        """
        if name == "no_op":
            return cls(name, "no_op")
        match = _LAYER.fullmatch(name) or _POOL.fullmatch(name)
        if match is None:
            raise SpecError(
                f"{name!r} is not the name of a function",
                where="Q-NAS function set",
                fix="write conv_K_S_F, bv1_K_S_F, bv1p_K_S_F (kernel, stride, filters), max_pool_K_S, avg_pool_K_S "
                "or no_op",
            )
        kind: Kind = match["kind"]  # type: ignore[assignment]  # the patterns admit no other
        function = cls(
            name, kind, int(match["kernel"]), int(match["stride"]), int(match.groupdict().get("filters") or 0)
        )
        if kind == "bv1" and function.stride != 1:
            raise SpecError(
                f"{name!r} has stride {function.stride}, but its shortcut is the unchanged input",
                where="Q-NAS function set",
                fix=f"use stride 1, or the projected block bv1p_{function.kernel}_{function.stride}_{function.filters}",
            )
        return function

    @property
    def reduces(self) -> bool:
        """Whether it lowers the resolution."""
        return self.stride > 1

    @property
    def group(self) -> str:
        """`"layer"`, `"pool"` or `"no_op"`: the groups that share the starting probability equally."""
        if self.kind == "no_op":
            return "no_op"
        return "pool" if self.kind in ("max_pool", "avg_pool") else "layer"


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which runs of digits compare as numbers."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


@dataclass(frozen=True, slots=True)
class FunctionSet:
    """The choices of every node of a chain, in natural order, with their starting probabilities.

    Attributes:
        name: Name of the set.
        functions: Functions in the order that gene indices refer to.
        probabilities: Starting probability of each function; they sum to 1.
    """

    name: str
    functions: tuple[Function, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def of(cls, name: str, functions: Iterable[str], probabilities: dict[str, float] | None = None) -> FunctionSet:
        """Makes a set from function names in any order.

        Args:
            name: Name of the set.
            functions: Names as `Function.parse` reads them, each once.
            probabilities: Starting probability by name. By default the groups present (layers, pools, `no_op`) share
                the probability equally, and so do the functions of a group.

        Raises:
            SpecError: If a name is malformed, doubled or missing from `probabilities`, or the set is empty.
        """
        names = sorted(functions, key=natural_key)
        if not names or len(set(names)) != len(names):
            raise SpecError(
                f"a function set needs at least one function and each only once, got {names}",
                where=f"function set {name}",
            )
        parsed = tuple(Function.parse(each) for each in names)
        if probabilities is None:
            return cls(name, parsed, _by_group(parsed))
        if set(probabilities) != set(names):
            raise SpecError(
                f"probabilities are given for {sorted(probabilities)}, the functions are {names}",
                where=f"function set {name}",
            )
        if min(probabilities.values()) < 0.0 or abs(sum(probabilities.values()) - 1.0) > 1e-6:
            raise SpecError(
                f"probabilities must not be negative and must sum to 1, got {probabilities}",
                where=f"function set {name}",
            )
        return cls(name, parsed, tuple(probabilities[each] for each in names))

    def __len__(self) -> int:
        return len(self.functions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in gene order."""
        return tuple(function.name for function in self.functions)

    @property
    def reduces(self) -> tuple[bool, ...]:
        """Whether each function lowers the resolution, in gene order; what the reduction penalty counts."""
        return tuple(function.reduces for function in self.functions)

    def decode(self, genes: Sequence[int]) -> tuple[str, ...]:
        """Function names of a chain, `no_op` included.

        Raises:
            SpecError: If a gene lies outside `0 .. len(self) - 1`.
        """
        for node, gene in enumerate(genes):
            if not 0 <= gene < len(self.functions):
                raise SpecError(
                    f"gene {gene} of node {node} is outside 0 to {len(self.functions) - 1}",
                    where=f"function set {self.name}",
                )
        return tuple(self.functions[gene].name for gene in genes)

    def encode(self, names: Sequence[str]) -> tuple[int, ...]:
        """Genes of a chain of function names.

        Raises:
            UnknownNameError: If a name is not in the set.
        """
        index = {name: gene for gene, name in enumerate(self.names)}
        for name in names:
            if name not in index:
                raise UnknownNameError(
                    f"{name!r} is not in the function set {self.name!r}", fix=did_you_mean(name, self.names)
                )
        return tuple(index[name] for name in names)

    def space_size(self, nodes: int) -> int:
        """Number of genotypes of a chain of that many nodes."""
        return int(len(self.functions) ** nodes)


def _by_group(functions: Sequence[Function]) -> tuple[float, ...]:
    members: dict[str, int] = {}
    for function in functions:
        members[function.group] = members.get(function.group, 0) + 1
    return tuple(1.0 / (len(members) * members[function.group]) for function in functions)


def _convolutions(*kernels_and_filters: tuple[int, Sequence[int]]) -> list[str]:
    return [f"conv_{kernel}_1_{filters}" for kernel, widths in kernels_and_filters for filters in widths]


_REST = ["max_pool_2_2", "avg_pool_2_2", "no_op"]
_WIDE = (64, 128, 256, 512)

#: Published sets. The number counts all functions, except in `conv6`, which has six convolutions and nine functions.
FUNCTION_SETS: dict[str, FunctionSet] = {
    function_set.name: function_set
    for function_set in (
        FunctionSet.of("conv6", _convolutions((1, (64, 128)), (3, (64, 128)), (5, (64, 128))) + _REST),
        FunctionSet.of("conv9", _convolutions((1, (32, 64)), (3, (32, 64, 128, 256))) + _REST),
        FunctionSet.of("conv11", _convolutions((1, (32, 64)), (3, (32, 64, 128, 256)), (5, (32, 64))) + _REST),
        FunctionSet.of("conv15", _convolutions((1, _WIDE), (3, _WIDE), (5, _WIDE)) + _REST),
        FunctionSet.of("res9", [f"{kind}_3_1_{width}" for kind in ("bv1", "bv1p") for width in (64, 128, 256)] + _REST),
    )
}


def function_set(name: str) -> FunctionSet:
    """Looks up a published set.

    Raises:
        UnknownNameError: If there is none of that name; the message suggests the nearest.
    """
    if name not in FUNCTION_SETS:
        raise UnknownNameError(f"there is no function set {name!r}", fix=did_you_mean(name, FUNCTION_SETS))
    return FUNCTION_SETS[name]
