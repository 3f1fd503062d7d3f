"""What the network inside somebody's LightningModule is called with: from an example, or from its first real call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, TensorSpec

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class FirstCall:
    """Notes the inputs of the first call of a network.

    Attributes:
        inputs: Inputs of the call; None before the call or if they cannot be described.
        problem: Reason why they cannot be described.
    """

    def __init__(self) -> None:
        self.inputs: Inputs | None = None
        self.problem: str | None = None
        self._handle: RemovableHandle | None = None

    def watch(self, network: nn.Module) -> None:
        """Waits for the next call; nothing happens once a call was seen."""
        if self.inputs is None and self.problem is None and self._handle is None:
            self._handle = network.register_forward_pre_hook(self._called, with_kwargs=True)

    def stop(self) -> None:
        """Stops waiting."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = None

    def _called(self, _: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        self.stop()
        try:
            self.inputs = inputs_of_call(args, kwargs)
        except TaskError as error:
            self.problem = error.what


def inputs_of_call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Inputs:
    """Describes the batches that a network is called with.

    Args:
        args: Positional arguments, tensors (N, ...).
        kwargs: Arguments by name; those that are None are left out.

    Raises:
        TaskError: An argument is not a tensor, or the tensors do not share a batch dimension.
    """
    tensors = [_tensor(value) for value in args]
    named = {name: _tensor(value) for name, value in kwargs.items() if value is not None}
    batches = {value.shape[0] if value.dim() else None for value in (*tensors, *named.values())}
    if len(batches) != 1 or None in batches:
        raise TaskError("the network is called with tensors that do not have one batch dimension in common")
    return Inputs(tuple(map(_spec, tensors)), {name: _spec(value) for name, value in named.items()})


def inputs_of_example(example: object) -> Inputs | None:
    """Describes a LightningModule's `example_input_array`: a tensor, a tuple, or a mapping of names to tensors.

    Args:
        example: Example input, as Lightning takes it.

    Returns:
        The inputs, or None where there is no example or it holds something else than batches.
    """
    if example is None:
        return None
    named = example if isinstance(example, Mapping) else {}
    args = tuple(example) if isinstance(example, (tuple, list)) else () if named else (example,)
    try:
        return inputs_of_call(args, named)
    except TaskError:
        return None


def _tensor(value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise TaskError(f"the network is called with a {type(value).__name__}, which is not a tensor")
    return value


def _spec(value: Tensor) -> TensorSpec:
    dtype = str(value.dtype).removeprefix("torch.")
    counts = not value.dtype.is_floating_point and not value.dtype.is_complex and dtype != "bool"
    high = max(1, int(value.max()) + 1) if counts and value.numel() else 2
    return TensorSpec(tuple(value.shape[1:]), dtype, high)
