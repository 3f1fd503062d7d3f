"""What flows in and out of a network: stated by tasks and spaces, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from nasplug.contract.errors import SpecError, TaskError

if TYPE_CHECKING:
    from torch import Tensor

OutputKind = Literal["vector", "map", "volume", "sequence"]

#: What a network may answer for one input with `c` channels.
OUTPUTS: dict[str, str] = {
    "vector": "(c): classes, values",
    "map": "(c, height, width): a value per pixel",
    "volume": "(c, depth, height, width): a value per voxel",
    "sequence": "(length, c): a value per position",
}


class TensorSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tensor without its batch dimension.

    Attributes:
        shape: Shape of one input, such as (3, 32, 32).
        dtype: Name of torch's type, such as `float32` or `int64`.
        high: Examples of whole numbers lie in [0, high), as the size of a vocabulary.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int = 2

    def example(self, batch: int, seed: int, device: str) -> Tensor:
        """Returns a tensor of shape (batch, *shape): standard normal, or whole numbers below `high`."""
        import torch

        kind = getattr(torch, self.dtype, None)
        if not isinstance(kind, torch.dtype):
            raise TaskError(f"torch has no type {self.dtype!r}", where="inputs", fix="write float32, int64, bool, ...")
        generator = torch.Generator().manual_seed(seed)
        size = (batch, *self.shape)
        if kind.is_floating_point or kind.is_complex:
            return torch.randn(size, generator=generator).to(device=device, dtype=kind)
        return torch.randint(0, max(1, self.high), size, generator=generator).to(device=device, dtype=kind)


class Inputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a network is called with: `network(*args, **kwargs)`.

    Attributes:
        args: Positional inputs.
        kwargs: Inputs by name.
    """

    args: tuple[TensorSpec, ...] = ()
    kwargs: Mapping[str, TensorSpec] = {}

    @classmethod
    def of(cls, value: Any) -> Inputs:
        """Reads inputs as people write them.

        Args:
            value: `Inputs`; a shape such as `(3, 32, 32)`; one `TensorSpec` or mapping such as
                `{shape: [128], dtype: int64, high: 30000}`; a list of those; or a mapping of names to them.

        Raises:
            TaskError: It is none of these.
        """
        if isinstance(value, Inputs):
            return value
        if isinstance(value, TensorSpec):
            return cls((value,))
        if isinstance(value, Mapping):
            if "shape" in value:
                return cls((_tensor(value),))
            return cls((), {str(name): _tensor(item) for name, item in value.items()})
        if isinstance(value, Sequence) and not isinstance(value, str) and value:
            if all(isinstance(size, int) and not isinstance(size, bool) for size in value):
                return cls((_tensor(value),))
            return cls(tuple(_tensor(item) for item in value))
        raise TaskError(
            f"cannot read {value!r:.100} as inputs",
            where="inputs",
            fix="write a shape such as [3, 32, 32], {shape: [128], dtype: int64, high: 30000}, or a list of those",
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first input."""
        return next(iter((*self.args, *self.kwargs.values()))).shape

    @property
    def is_plain(self) -> bool:
        """Whether there is one input of floating-point numbers, as images are."""
        return len(self.args) == 1 and not self.kwargs and self.args[0].dtype.startswith(("float", "bfloat"))

    def example(
        self, batch: int = 1, *, seed: int = 0, device: str = "cpu"
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Returns positional and named example tensors; call the network with `network(*args, **kwargs)`.

        Args:
            batch: Size of the batch.
            seed: Random seed.
            device: Device of the tensors.
        """
        args = tuple(spec.example(batch, seed + i, device) for i, spec in enumerate(self.args))
        first = len(args)
        kwargs = {
            name: spec.example(batch, seed + first + i, device) for i, (name, spec) in enumerate(self.kwargs.items())
        }
        return args, kwargs


class OutputSpec(msgspec.Struct, frozen=True):
    """What a task wants back from a network for one input.

    Attributes:
        kind: One of `OUTPUTS`.
        channels: Number of classes or values.
    """

    kind: OutputKind = "vector"
    channels: int = 1

    @classmethod
    def of(cls, value: Any, channels: int) -> OutputSpec:
        """Reads an output as people write it: a kind, or a mapping.

        Args:
            value: `OutputSpec`, a kind, `{kind: map, channels: 3}`, or None for a vector.
            channels: Number of channels, where the value does not say it.

        Raises:
            TaskError: It is none of these.
        """
        if isinstance(value, OutputSpec):
            return value
        if isinstance(value, Mapping):
            value, channels = value.get("kind", "vector"), int(value.get("channels", channels))
        kind = value or "vector"
        if kind not in OUTPUTS:
            raise TaskError(f"there is no output {kind!r}", where="output", fix=f"write {', '.join(OUTPUTS)}")
        return cls(cast("OutputKind", kind), channels)


def inputs_of(task: Any) -> Inputs:
    """Returns what a task feeds: its `inputs`, or one float tensor of its `input_shape`."""
    stated = getattr(task, "inputs", None)
    return Inputs.of(tuple(task.input_shape)) if stated is None else Inputs.of(stated)


def output_of(task: Any) -> OutputSpec:
    """Returns what a task wants back: its `output`, or a vector of its `outputs`."""
    return OutputSpec.of(getattr(task, "output", None), int(task.outputs))


def check_flow(space: Any, task: Any, name: str) -> None:
    """Refuses a space whose networks cannot do what the task wants.

    Args:
        space: Search space; one that does not state what it `produces` is believed.
        task: Task.
        name: Name of the space.

    Raises:
        SpecError: It produces something else, or cannot take the inputs.
    """
    wanted = output_of(task).kind
    produces = getattr(space, "produces", None)
    if produces is not None and wanted not in produces:
        raise SpecError(
            f"the space {name!r} produces {' or '.join(produces)}, and the task wants a {wanted}",
            where="space",
            why=f"a {wanted} is {OUTPUTS[wanted]}",
            fix="take a space for such outputs (`nasplug list space`), or a task that wants what the space gives",
        )
    check = getattr(space, "check_inputs", None)
    if check is not None:
        check(inputs_of(task))


def _tensor(value: Any) -> TensorSpec:
    if isinstance(value, TensorSpec):
        return value
    if isinstance(value, Mapping):
        try:
            return msgspec.convert(dict(value), TensorSpec)
        except msgspec.ValidationError as error:
            raise TaskError(f"cannot read {dict(value)!r:.100} as an input", where="inputs", why=str(error)) from error
    shape = tuple(value)
    if not all(isinstance(size, int) and size > 0 for size in shape):
        raise TaskError(f"the shape {value!r:.100} has sizes that are not positive integers", where="inputs")
    return TensorSpec(shape)
