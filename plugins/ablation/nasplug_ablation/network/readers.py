"""Who reads what a module answers: sums and concatenations that a branch of zeros leaves as they are, products, others.

The operators that torch runs are followed from the output of each module, through those that keep zeros zero (views,
scales), to the first that mixes it with something else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from torch._ops import OpOverload

Reader = Literal["sum", "concatenation", "product", "other"]

_SUMS = frozenset({"add", "add_", "sub", "sub_"})
_PRODUCTS = frozenset({"mul", "mul_", "div", "div_"})
_KEEP_ZERO = frozenset(
    {"view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "slice"}
    | {"select", "clone", "contiguous", "flatten", "alias", "detach", "_to_copy", "neg", "relu", "native_dropout"}
)


class Readers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the readers of outputs while a step runs.

    Args:
        module: Module that runs; its weights are scales, and not the other side of a product.

    Attributes:
        found: Kinds of readers by path of the module.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[str, set[Reader]] = {}
        self._weights = {id(weight) for weight in [*module.parameters(), *module.buffers()]}
        self._from: dict[int, frozenset[str]] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the identity of one that is followed

    def left(self, path: str, output: object) -> None:
        """Begins to follow the outputs of a module.

        Args:
            path: Path of the module.
            output: Output of the module.
        """
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self._follow(leaf, self._from.get(id(leaf), frozenset()) | {path})

    def _follow(self, tensor: Tensor, paths: frozenset[str]) -> None:
        self._from[id(tensor)] = paths
        self._kept.append(tensor)

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Runs an operator and notes whose outputs it reads."""
        tensors = [leaf for leaf in tree_leaves((args, dict(kwargs or {}))) if isinstance(leaf, Tensor)]
        read = [(tensor, self._from[id(tensor)]) for tensor in tensors if id(tensor) in self._from]
        output: object = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        for tensor, paths in read:
            kind = self._kind(name, tensor, tensors)
            if kind is None:
                for leaf in tree_leaves(output):
                    if isinstance(leaf, Tensor):
                        self._follow(leaf, self._from.get(id(leaf), frozenset()) | paths)
            else:
                for path in paths:
                    self.found.setdefault(path, set()).add(kind)
        if name.endswith("_") and tensors and not name.startswith("_"):
            written = tensors[0]
            if name in _SUMS:  # what stood there is the sum now
                self._from.pop(id(written), None)
        return output

    def _kind(self, name: str, tensor: Tensor, tensors: list[Tensor]) -> Reader | None:
        """The kind of reader, or None for an operator that keeps zeros zero and is followed."""
        others = [other for other in tensors if other is not tensor]
        if name in _SUMS:
            return "sum" if all(other.shape == tensor.shape for other in others) and others else "other"
        if name == "cat":
            return "concatenation"
        if name in _PRODUCTS:
            scales = all(id(other) in self._weights or other.numel() == 1 for other in others)
            return None if scales else "product" if name.startswith("mul") else "other"
        return None if name in _KEEP_ZERO else "other"
