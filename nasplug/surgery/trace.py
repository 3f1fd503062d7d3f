"""One pass through a network that follows its channels, on the meta device: nothing is computed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nasplug.cost.running import RunningModules
from nasplug.surgery.labels import Axes, Flaw, LabelBook, Labels, Role
from nasplug.surgery.modules import PlacedChannels
from nasplug.surgery.state import state_of, tensors_in

if TYPE_CHECKING:
    from torch._ops import OpOverload


#: Type and sizes of a tensor.
Shape: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Size:
    """A size that an operator was called with, and that follows from channels.

    Attributes:
        module: Path of the module that ran.
        labels: Labels along the axis of that size.
        heads: Whether it is a number of heads, by the name of the attribute that has it.
    """

    module: str
    labels: Labels
    heads: bool = False


@dataclass(frozen=True)
class Padded:
    """Channels among which silent ones of fixed number were put.

    Attributes:
        module: Path of the module that ran.
        before: Labels before.
        after: Labels after.
    """

    module: str
    before: Labels
    after: Labels


@dataclass(frozen=True)
class Grouped:
    """A module whose number of groups follows its channels.

    Attributes:
        module: Path of the module.
        attribute: Name of its number of groups.
        labels: Labels along the channels.
        each: Channels in one group.
    """

    module: str
    attribute: str
    labels: Labels
    each: int


@dataclass(frozen=True, eq=False)
class Call:
    """One operator that ran.

    Attributes:
        func: The operator.
        args: Arguments by position.
        kwargs: Arguments by name.
        result: Returned value.
    """

    func: OpOverload
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any

    @property
    def operator(self) -> str:
        """Name for messages."""
        return str(self.func.overloadpacket)

    @property
    def name(self) -> str:
        """Name without its library."""
        name: str = self.func.overloadpacket.__name__
        return name


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What one pass through a network shows about its channels.

    Args:
        network: Network on the meta device.
        rule_of: Function that finds how an operator passes channels on.

    Attributes:
        book: All labels and what ties them.
        state: Labels of every axis of every weight and buffer that was used, by name.
        roles: Part of a tensor in the life of channels along an axis, by name and axis, in order of use.
        sizes: Sizes that follow from channels.
        grouped: Modules whose number of groups does.
        pads: Places where silent channels are put among others.
        parts: Labels of slices of channels: what is in one and what is not cannot be exchanged.
        pieces: Labels of the equal pieces of every tensor that was divided by one size.
        numbers: Module that ran, operator, and numbers that it was called with, for all that compute with numbers.
        operators: Names of the operators that ran inside of each module, itself and not its children.
        passed: First argument and result of every call of a module, as `shape_of` has them, by path.
        outputs: Results of the network in inference, as `shape_of` has them.
    """

    def __init__(self, network: nn.Module, rule_of: Callable[[OpOverload], Rule]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.book = LabelBook()
        self._rule_of = rule_of
        self.state: dict[str, Axes] = {}
        self.roles: dict[tuple[str, int], Role] = {}
        self.sizes: list[Size] = []
        self.grouped: list[Grouped] = []
        self.pads: list[Padded] = []
        self.parts: list[Labels] = []
        self.pieces: list[tuple[Labels, ...]] = []
        self.numbers: list[tuple[str, str, tuple[float, ...]]] = []
        self.operators: dict[str, list[str]] = {}
        self.passed: dict[str, list[tuple[Shape | None, Shape | None]]] = {}
        self.outputs: list[Shape | None] = []
        self._names = {id(tensor): name for name, tensor in state_of(network).items()}
        self._modules = dict(network.named_modules())
        self._axes: dict[int, Axes] = {}
        self._kept: list[Tensor] = []
        self._running = RunningModules()
        self._starts: list[int] = []
        self._owners: list[tuple[str, int]] = []
        self._computed: set[int] = set()
        self._bent: set[int] = set()
        self._placing = 0

    # -- for rules -----------------------------------------------------------------------------------------------

    @property
    def module(self) -> str:
        """Path of the innermost module that runs."""
        return self._running.path

    @property
    def running_module(self) -> nn.Module:
        """The innermost module that runs."""
        module: nn.Module = self._modules[self.module]
        return module

    @property
    def where(self) -> str:
        """Name of the place that runs, for messages."""
        name = self.module
        kind = type(self._modules[name]).__name__
        return f"{name or 'the network'} ({kind})"

    def name_of(self, tensor: Tensor) -> str | None:
        """Name of a weight or buffer; None for what was computed."""
        return self._names.get(id(tensor))

    def axes(self, tensor: Tensor) -> Axes:
        """Labels along every axis of a tensor; weights get theirs when they are first asked for."""
        known = self._axes.get(id(tensor))
        if known is not None and len(known) == tensor.ndim:
            return known
        name = self.name_of(tensor)
        if name is None:
            return (None,) * tensor.ndim
        spatial = tensor.ndim >= 3 and hasattr(self._modules[name.rpartition(".")[0]], "kernel_size")
        axes = tuple(
            None if spatial and axis >= 2 else self._own(name, axis, size) for axis, size in enumerate(tensor.shape)
        )
        self.state[name] = axes
        self.put(tensor, axes)
        return axes

    def _own(self, name: str, axis: int, size: int) -> Labels:
        self._starts.append(self.book.size)
        self._owners.append((name, axis))
        return self.book.new(size)

    def put(self, tensor: Tensor, axes: Sequence[Labels | None]) -> None:
        """Sets the labels of a tensor."""
        self._axes[id(tensor)] = tuple(axes)
        self._kept.append(tensor)

    def role(self, labels: Labels | None, role: Role) -> None:
        """Says what the weight that has these labels along an axis does along it; views of weights have its labels."""
        if labels is None or len(labels) == 0:
            return
        index = bisect_right(self._starts, int(labels[0])) - 1
        if index < 0:
            return
        name, axis = self._owners[index]
        own = self.state[name][axis]
        if own is None or labels[0] > own[-1]:
            return
        before = self.roles.get((name, axis))
        if before in (None, "along"):
            self.roles[name, axis] = role
        elif role not in (before, "along"):
            self.book.fix([labels], f"{name} makes channels in one place and reads them in another")

    def reads(self, weight: Tensor, labels: Labels | None) -> None:
        """Says that a weight, or what is computed from it, reads channels along an axis."""
        self.role(labels, "in")
        if labels is not None and id(weight) in self._bent:
            for kind in _FLAWS:
                self.book.flaw(kind, labels, f"a weight of {self.where} is changed by a function before it is read")

    def bend(self, tensor: Tensor) -> None:
        """Says that a tensor is not proportional to the weight that it is computed from."""
        self._bent.add(id(tensor))
        self._kept.append(tensor)

    def part(self, labels: Labels, part: Labels) -> None:
        """Remembers that code takes some of the channels by their position."""
        self.followed(labels)
        self.followed(part)
        if len(part) < len(labels):
            self.parts.append(part)

    def computed(self, tensor: Tensor) -> bool:
        """Whether a tensor follows from the inputs, and not from weights alone."""
        return id(tensor) in self._computed

    def followed(self, size: Labels, *, heads: bool = False) -> None:
        """Remembers a size that the code of the module that runs may have written down."""
        self.sizes.append(Size(self.module, size, heads))

    def padded(self, before: Labels, after: Labels) -> None:
        """Remembers where silent channels were put among others."""
        self.pads.append(Padded(self.module, before, after))

    def reshapes(self, path: str) -> str | None:
        """Returns why a module does not return the shape that it is given, or None if it does.

        Args:
            path: Path of the module.
        """
        if path not in self.passed:
            return "it was not called"
        for given, made in self.passed[path]:
            if given is None or made is None:
                return f"it {'is not called with' if given is None else 'does not return'} one tensor"
            if given != made:
                return f"it maps {_said(given)} to {_said(made)}"
        return None

    def _place(self, module: PlacedChannels, given: Tensor, output: Tensor) -> None:
        axes = list(self.axes(given))
        before = axes[1]
        if before is not None:
            after = self.book.new(len(module.sources))
            placed = np.array([after[i] if source < 0 else before[source] for i, source in enumerate(module.sources)])
            self.padded(before, placed)
            axes[1] = placed
        self.put(output, axes)

    # -- torch's side --------------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        given = kwargs or {}
        quick = _QUICK.get(func.overloadpacket.__name__)
        result: object = func(*args, **given) if quick is None else quick(*args)
        self.operators.setdefault(self.module, []).append(str(func))
        if self._placing:
            self.come(result)
            return result
        if any(self.computed(tensor) for tensor in tensors_in((args, given))):
            self.come(result)
        elif any(id(tensor) in self._bent for tensor in tensors_in((args, given))):
            for tensor in tensors_in(result):
                self.bend(tensor)
        pointwise = torch.Tag.pointwise in func.tags
        numbers = tuple(_numbers((args, given), whole=pointwise or "full" in str(func)))
        if numbers or pointwise:
            self.numbers.append((self.module, str(func), numbers))
        self._rule_of(func)(self, Call(func, args, given, result))
        return result

    def come(self, value: object) -> None:
        """Says that all tensors in a value follow from the inputs."""
        for tensor in tensors_in(value):
            self._computed.add(id(tensor))
            self._kept.append(tensor)

    @contextmanager
    def running(self, network: nn.Module) -> Iterator[None]:
        """Keeps the path of the module that runs, and the shapes that modules are called with."""

        def enter(name: str, module: nn.Module) -> None:
            self._placing += isinstance(module, PlacedChannels)

        def leave(
            name: str, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object
        ) -> None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            self.passed.setdefault(name, []).append((shape_of(given), shape_of(output)))
            if isinstance(module, PlacedChannels):
                self._placing -= 1
                if isinstance(given, Tensor) and isinstance(output, Tensor):
                    self._place(module, given, output)

        with self._running.watching(network, enter, leave):
            yield


def shape_of(value: object) -> Shape | None:
    """Type and sizes of a tensor; None for anything else."""
    return (str(value.dtype), *value.shape) if isinstance(value, Tensor) else None


def _said(shape: Shape) -> str:
    kind, _, *sizes = shape
    return f"(N, {', '.join(map(str, sizes))}) of {str(kind).removeprefix('torch.')}"


#: Flaws of channels that operators mix.
_FLAWS: tuple[Flaw, Flaw] = ("removal", "split")


def _numbers(value: object, *, whole: bool) -> Iterator[float]:
    """Numbers in arguments: whole ones that are not sizes, all others, and those in tensors of one element."""
    if isinstance(value, float) or (whole and type(value) is int):
        yield float(value)
    elif isinstance(value, Tensor):
        if not value.is_meta and value.numel() == 1 and not value.is_complex():
            yield float(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item, whole=whole)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item, whole=whole)


def _normalised(inputs: Tensor, *state: object) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes of a batch normalisation; torch's own way runs through dozens of operators."""
    size = inputs.shape[1] if state[4] else 0
    return torch.empty_like(inputs), inputs.new_empty(size), inputs.new_empty(size)


#: Shapes of results that torch takes long to find on the meta device.
_QUICK: dict[str, Callable[..., object]] = {"native_batch_norm": _normalised}

#: How an operator passes channels on.
Rule = Callable[[Trace, Call], None]
