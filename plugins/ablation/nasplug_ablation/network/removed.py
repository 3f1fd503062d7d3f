"""What stands in the place of a module that was taken away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Removed(nn.Module):
    """Base class of everything that stands for a removed module; has no weights unless it is an adapter."""

    def extra_repr(self) -> str:
        """Says what it is."""
        return "removed"


class Passing(Removed):
    """Hands one of its inputs on.

    Args:
        key: Position or name of the input that takes the place of the output.
        others: Number of further outputs of the removed module, which are None now; None where its output was not a
            tuple.
    """

    def __init__(self, key: int | str = 0, others: int | None = None) -> None:
        super().__init__()
        self.key, self.others = key, others

    def forward(self, *args: object, **kwargs: object) -> object:
        """Returns the input."""
        # A module may be called with a keyword in one place and by position in another.
        found = (
            kwargs.get(self.key) if isinstance(self.key, str) else (args[self.key] if self.key < len(args) else None)
        )
        if found is None:
            found = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        return found if self.others is None else (found, *([None] * self.others))


class Constant(Removed):
    """Answers one number, in the shape that the removed module would have answered.

    Args:
        value: The number: 0 leaves a sum or a concatenation as it is without the branch, 1 a product.
        key: Position or name of the input whose shape and device count.
        entered: Shape of that input in the example, (N, ...).
        left: Shape of the output in the example, (N, ...).
    """

    def __init__(self, value: float, key: int | str, entered: Sequence[int], left: Sequence[int]) -> None:
        super().__init__()
        self.value, self.key = value, key
        self.entered, self.left = tuple(entered), tuple(left)

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        """Returns a tensor of that number."""
        given = kwargs.get(self.key) if isinstance(self.key, str) else args[self.key]
        assert isinstance(given, Tensor)
        return torch.full(self._shape(tuple(given.shape)), self.value, dtype=given.dtype, device=given.device)

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The output of an input of this shape: as in the example, with the batch and image size of now."""
        if shape[1:] == self.entered[1:] or len(self.entered) != len(self.left):
            return (shape[0], *self.left[1:])
        sizes = zip(shape[1:], self.entered[1:], self.left[1:], strict=True)
        return (shape[0], *(out if now == then else now * out // then for now, then, out in sizes))

    def extra_repr(self) -> str:
        """Says what it answers."""
        return f"removed, answers {self.value:g}"


class Adapter(Removed):
    """The smallest projection between two shapes; it has weights, and so adds capacity of its own.

    Args:
        entered: Shape of the input in the example, (N, C, ...) or (N, ..., C).
        left: Shape of the output in the example.

    Raises:
        ValueError: No projection by a 1 x 1 convolution, or by a linear layer over the last axis, leads there.
    """

    def __init__(self, entered: Sequence[int], left: Sequence[int]) -> None:
        super().__init__()
        before, after = tuple(entered), tuple(left)
        self.layers: nn.Module
        if len(before) == len(after) >= 2 and before[1:-1] == after[1:-1]:
            self.layers = nn.Linear(before[-1], after[-1])
        elif len(before) == len(after) and 3 <= len(before) <= 5:
            self.layers = _convolution(before, after)
        else:
            raise ValueError(f"no simple projection leads from {before[1:]} to {after[1:]}")

    def forward(self, *args: object, **kwargs: object) -> object:
        """Projects the first tensor that it is given."""
        given = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        return self.layers(given)


def _convolution(before: tuple[int, ...], after: tuple[int, ...]) -> nn.Module:
    makes: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
    make = makes[len(before)]
    sizes = list(zip(before[2:], after[2:], strict=True))
    if all(one == other for one, other in sizes):
        return make(before[1], after[1], 1)
    if all(one >= other and -(-one // (one // other)) == other for one, other in sizes):
        strides = tuple(one // other for one, other in sizes)
        return make(before[1], after[1], 1, stride=strides)  # type: ignore[arg-type]
    if all(other % one == 0 for one, other in sizes):
        factors = tuple(float(other // one) for one, other in sizes)
        return nn.Sequential(make(before[1], after[1], 1), nn.Upsample(scale_factor=factors))
    raise ValueError(f"no stride leads from {before[2:]} to {after[2:]}")
