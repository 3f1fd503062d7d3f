"""One step of a network, watched: which modules are called, with which shapes, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nasplug.run.seeding import seed_everything, undisturbed

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Shape = tuple[int, ...]
#: Looks at a module before it runs, with its arguments: (path, module, args, kwargs).
Before = Callable[[str, nn.Module, tuple[object, ...], Mapping[str, object]], None]
#: Looks at what a module answered: (path, output).
After = Callable[[str, object], None]


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        inputs: Shape of every tensor that it was given, by position or name.
        output: Shape of its output, or of the first one; None if that is not a tensor.
        others: Number of further outputs; None if the output is not a tuple.
        same: Position or name of the first input with the shape and the kind of number of the output; None if there is
            none.
    """

    inputs: Mapping[int | str, Shape]
    output: Shape | None
    others: int | None
    same: int | str | None


@dataclass
class Trace:
    """What happened in one step.

    Attributes:
        calls: Calls by path of the module, in order of their ends; a module with several paths has its first one.
        order: Paths in the order in which calls ended, with the shape of the output.
        answers: Everything that the step returned or logged.
        failed: Path of the module in which an error was raised.
    """

    calls: dict[str, list[Call]] = field(default_factory=dict)
    order: list[tuple[str, Shape | None]] = field(default_factory=list)
    answers: list[Tensor] = field(default_factory=list)
    failed: str = ""

    def same_answers(self, other: Trace) -> bool:
        """Returns whether another step answered exactly the same.

        Args:
            other: Another step.
        """
        if len(self.answers) != len(other.answers):
            return False
        pairs = zip(self.answers, other.answers, strict=True)
        return all(a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def watch(
    module: nn.Module,
    step: Callable[[nn.Module], object],
    *,
    before: Before | None = None,
    after: After | None = None,
    training: bool = True,
    seed: int = 0,
) -> Trace:
    """Runs a step and watches it; neither gradients nor random numbers of the caller are touched.

    Args:
        module: Module that the step runs, on the CPU.
        step: Function that runs one step and returns what it answers.
        before: Function that sees every module before it runs.
        after: Function that sees every output.
        training: Whether the module is in training mode.
        seed: Seed of everything random in the step.

    Returns:
        The trace; if the step raises an error, so does this, and the error's attribute `trace` holds it.
    """
    trace, stack = Trace(), list[str]()

    def entering(path: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            stack.append(path)
            if before is not None:
                before(path, part, args, kwargs)

        return hook

    def leaving(path: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
            stack.pop()
            call = _call(args, kwargs, output)
            trace.calls.setdefault(path, []).append(call)
            trace.order.append((path, call.output))
            if after is not None:
                after(path, output)

        return hook

    handles: list[RemovableHandle] = []
    was_training = module.training
    try:
        for path, part in module.named_modules():
            if part is not module:
                handles.append(part.register_forward_pre_hook(entering(path), with_kwargs=True))
                handles.append(part.register_forward_hook(leaving(path), with_kwargs=True))
        module.train(training)
        with undisturbed(), torch.no_grad():
            seed_everything(seed)
            answered = step(module)
        trace.answers = [leaf.detach().double() for leaf in tree_leaves(answered) if _is_number(leaf)]
    except Exception as error:
        trace.failed = stack[-1] if stack else ""
        error.trace = trace  # type: ignore[attr-defined]
        raise
    finally:
        for handle in handles:
            handle.remove()
        module.train(was_training)
    return trace


@contextmanager
def without_constants(module: nn.Module, seed: int = 0) -> Iterator[None]:
    """Gives weights that are all equal random numbers for a while, so that a branch that begins at zero counts.

    Args:
        module: Module whose weights are changed and put back.
        seed: Seed of the numbers; equal names and shapes get equal numbers.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if (
                parameter.is_floating_point()
                and parameter.numel()
                and bool((parameter == parameter.flatten()[0]).all())
            ):
                kept.append((parameter, parameter.clone()))
                generator = torch.Generator().manual_seed(seed + sum(map(ord, name)))
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, values in kept:
                weight.copy_(values)


def tensors_of(args: Sequence[object], kwargs: Mapping[str, object]) -> dict[int | str, Tensor]:
    """Returns the tensors among arguments, by position or name.

    Args:
        args: Arguments by position.
        kwargs: Arguments by name.
    """
    named: list[tuple[int | str, object]] = [*enumerate(args), *kwargs.items()]
    return {key: value for key, value in named if isinstance(value, Tensor)}


def _call(args: tuple[object, ...], kwargs: Mapping[str, object], output: object) -> Call:
    given = tensors_of(args, kwargs)
    others = len(output) - 1 if isinstance(output, (tuple, list)) and output else None
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    left = first if isinstance(first, Tensor) else None
    same = None
    if left is not None:
        alike = (
            key
            for key, value in given.items()
            if value.shape == left.shape and value.is_floating_point() == left.is_floating_point()
        )
        same = next(alike, None)
    shapes = {key: tuple(value.shape) for key, value in given.items()}
    return Call(shapes, None if left is None else tuple(left.shape), others, same)


def _is_number(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and (
        leaf.is_floating_point() or leaf.dtype in (torch.int64, torch.int32, torch.bool)
    )
