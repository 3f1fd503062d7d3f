"""What flows in and out of a network: stated by tasks and spaces, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import msgspec

from nasplug.contract.errors import NasplugError, SpecError, TaskError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

    from nasplug.contract.protocols import SearchSpace, Task

OutputKind = Literal["vector", "map", "volume", "sequence"]

#: Types of torch that an input may have, by name; the first ones are floating-point numbers.
FLOATS = ("float32", "float64", "float16", "bfloat16")
DTYPES = (*FLOATS, "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128")

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
        shape: Shape of one input, such as (3, 32, 32); () for a single number.
        dtype: Name of torch's type, one of `DTYPES`.
        high: Size of the vocabulary: examples of integers lie in [0, high).

    Raises:
        TaskError: A size, the type or `high` is not valid.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int = 2

    def __post_init__(self) -> None:
        if any(type(size) is not int or size < 1 for size in self.shape):
            raise TaskError(
                f"the shape {list(self.shape)} has sizes that are not positive integers",
                where="inputs",
                fix="leave out the batch, and write sizes such as [3, 32, 32]",
            )
        if self.dtype not in DTYPES:
            raise TaskError(f"unknown type {self.dtype!r}", where="inputs", fix=did_you_mean(self.dtype, DTYPES))
        if self.high < 1:
            raise TaskError(f"high must be > 0, got {self.high}", where="inputs", fix="give the size of the vocabulary")

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"

    def example(self, batch: int, seed: int, device: str) -> Tensor:
        """Returns a tensor of shape `(batch, *shape)`: standard normal numbers, or integers below `high`."""
        import torch

        kind: torch.dtype = getattr(torch, self.dtype)
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
    def of(cls, value: InputsLike) -> Inputs:
        """Reads inputs as people write them.

        Args:
            value: `Inputs`; a shape such as `(3, 32, 32)`; one `TensorSpec` or mapping such as
                `{shape: [128], dtype: int64, high: 30000}`; a list of those, for inputs by position; a mapping of names
                to them, for inputs by name; or `{args: [...], kwargs: {...}}` for both.

        Raises:
            TaskError: It is none of these.
        """
        if isinstance(value, Inputs):
            return value
        if isinstance(value, TensorSpec):
            return cls((value,))
        if isinstance(value, Mapping) and value:
            if "shape" in value and not set(value) - set(TensorSpec.__struct_fields__):
                return cls((_tensor(value),))
            if set(value) <= {"args", "kwargs"}:
                return cls(_positional(value["args"]) if value.get("args") else (), _named(value.get("kwargs", {})))
            return cls((), _named(value))
        return cls(_positional(value))

    def __str__(self) -> str:
        parts = [*map(str, self.args), *(f"{name}={spec}" for name, spec in self.kwargs.items())]
        if len(parts) == 1 and self.args:
            return f"an input of shape {self.args[0].shape}, {self.args[0].dtype}"
        return f"{plural(len(parts), 'input')}: {', '.join(parts)}"

    def to_plain(self) -> Json:
        """Returns JSON data that `of` reads: a shape for one input of float32, else all inputs with their types."""
        if len(self.args) == 1 and not self.kwargs and self.args[0] == TensorSpec(self.args[0].shape):
            return list(self.args[0].shape)
        plain: Json = msgspec.to_builtins(self)
        return plain

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first input."""
        return next(iter((*self.args, *self.kwargs.values()))).shape

    @property
    def is_plain(self) -> bool:
        """Whether there is one input, by position, of floating-point numbers, as images are."""
        return len(self.args) == 1 and not self.kwargs and self.args[0].dtype in FLOATS

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


if TYPE_CHECKING:
    _Item: TypeAlias = Json | TensorSpec
else:
    _Item = Any  # plain data stays plain data: jsonargparse would make records of what looks like one

#: What `Inputs.of` reads.
InputsLike: TypeAlias = Inputs | TensorSpec | Sequence[_Item] | Mapping[str, _Item]


class OutputSpec(msgspec.Struct, frozen=True):
    """What a task wants back from a network for one input.

    Attributes:
        kind: One of `OUTPUTS`.
        channels: Number of classes or values.
    """

    kind: OutputKind = "vector"
    channels: int = 1

    @classmethod
    def of(cls, value: OutputLike, channels: int | None = None) -> OutputSpec:
        """Reads an output as people write it: a kind, or a mapping.

        Args:
            value: `OutputSpec`, a kind, `{kind: map, channels: 3}`, or None for a vector.
            channels: Number of channels; may be None where the value says it.

        Raises:
            TaskError: It is none of these, or the two name different numbers of channels.
        """
        kind, own = _kind_and_channels(value)
        if own is not None and channels is not None and own != channels:
            raise TaskError(f"the output says channels={own}, but outputs={channels}", where="output", fix="give one")
        found = channels if own is None else own
        if found is None:
            raise TaskError("the number of channels is missing", where="output", fix="give outputs, such as outputs=10")
        if type(found) is not int or found < 1:
            raise TaskError(f"outputs is {found!r}, expected a number of channels > 0", where="output")
        return cls(kind, found)


#: What `OutputSpec.of` reads; None is a vector.
OutputLike: TypeAlias = OutputKind | JsonObject | OutputSpec | None


def inputs_of(task: Task) -> Inputs:
    """Returns what a task feeds: its `inputs`, or one float tensor of its `input_shape`."""
    stated = getattr(task, "inputs", None)
    return Inputs.of(tuple(task.input_shape)) if stated is None else Inputs.of(stated)


def output_of(task: Task) -> OutputSpec:
    """Returns what a task wants back: its `output`, or a vector of its `outputs`."""
    return OutputSpec.of(getattr(task, "output", None), int(task.outputs))


def check_flow(space: SearchSpace, task: Task, name: str, task_name: str = "task") -> None:
    """Refuses a space whose networks cannot do what the task wants; no data are read for it.

    Args:
        space: Search space; one that does not state what it `produces` is believed.
        task: Task.
        name: Name of the space.
        task_name: Name of the task.

    Raises:
        SpecError: It produces something else or nothing, or cannot take the inputs.
    """
    wanted, _ = _kind_and_channels(getattr(task, "output", None))
    produces = getattr(space, "produces", None)
    if produces == ():
        raise SpecError(
            f"the space {name!r} has no networks to train",
            where="space",
            why="it says that its results stand in tables only",
            fix="search with `evaluator: {tabular: {path: FILE}}` and without a task, or take a space with networks",
        )
    if produces is not None and wanted not in produces:
        raise SpecError(
            f"the space {name!r} produces {_either(produces)}, and the task {task_name!r} wants a {wanted}",
            where="space",
            why=f"a {wanted} is {OUTPUTS[wanted]}; a {produces[0]} is {OUTPUTS[produces[0]]}",
            fix=f"take a space whose networks give a {wanted}, or write one (a ChoiceSpace of your own), or change the "
            "task's `output`",
        )
    check = getattr(space, "check_inputs", None)
    if check is None or getattr(task, "shapes_need_data", False):
        return
    inputs = inputs_of(task)
    try:
        check(inputs)
    except NasplugError as error:
        raise SpecError(
            f"the space {name!r} cannot take the inputs of the task {task_name!r}: {error.what}",
            where="space",
            why=error.why,
            fix=error.fix or "take a space for such inputs, or write one (a ChoiceSpace of your own)",
        ) from error


def check_images(inputs: Inputs, least: int = 1) -> None:
    """Refuses everything but one image of floating-point numbers; for `check_inputs` of spaces of image classifiers.

    Args:
        inputs: Inputs that the task feeds.
        least: Smallest height and width that the networks can take.

    Raises:
        SpecError: There are several inputs, another type or shape, or too few pixels.
    """
    if not inputs.is_plain or len(inputs.shape) != 3:
        raise SpecError(f"expected one image (channels, height, width) of floating-point numbers, got {inputs}")
    if min(inputs.shape[1:]) < least:
        raise SpecError(
            f"expected an image of at least {least} x {least} pixels, got {inputs}",
            fix="use larger images, or a space whose networks reduce them less",
        )


def _kind_and_channels(value: OutputLike) -> tuple[OutputKind, Json]:
    kind: Json
    channels: Json = None
    if isinstance(value, OutputSpec):
        return value.kind, value.channels
    if isinstance(value, Mapping):
        unknown = set(value) - set(OutputSpec.__struct_fields__)
        if unknown:
            raise TaskError(f"unknown key {min(map(str, unknown))!r}", where="output", fix="write {kind: map}")
        kind, channels = value.get("kind"), value.get("channels")
    else:
        kind = value
    if kind is None:
        kind = "vector"
    if not isinstance(kind, str) or kind not in OUTPUTS:
        raise TaskError(f"unknown output {kind!r}", where="output", fix=did_you_mean(str(kind), OUTPUTS))
    return cast("OutputKind", kind), channels


def _either(kinds: Sequence[str]) -> str:
    return " or ".join(f"a {kind}" for kind in kinds)


def _positional(value: object) -> tuple[TensorSpec, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return (_tensor(value),)
    if all(isinstance(size, int) and not isinstance(size, bool) for size in value):
        return (_tensor(value),)
    return tuple(_tensor(item) for item in value)


def _named(value: object) -> dict[str, TensorSpec]:
    if not isinstance(value, Mapping):
        raise _unreadable(value)
    for name in value:
        if not isinstance(name, str) or not name.isidentifier():
            raise TaskError(f"{name!r} cannot be the name of an argument", where="inputs")
    return {name: _tensor(item) for name, item in value.items()}


def _tensor(value: object) -> TensorSpec:
    if isinstance(value, TensorSpec):
        return value
    if isinstance(value, Mapping) and "shape" in value:
        try:
            return msgspec.convert(dict(value), TensorSpec, strict=True)
        except msgspec.ValidationError as error:
            raise TaskError(f"cannot read {dict(value)!r:.100} as an input", where="inputs", why=str(error)) from error
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return TensorSpec(tuple(value))
    raise _unreadable(value)


def _unreadable(value: object) -> TaskError:
    return TaskError(
        f"cannot read {value!r:.100} as an input",
        where="inputs",
        fix="write a shape such as [3, 32, 32], {shape: [128], dtype: int64, high: 30000}, a list of those, or a "
        "mapping of argument names to them",
    )
