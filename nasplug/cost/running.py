"""Which module of a network runs now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch import nn

#: Called as a module starts: path, module.
Entered: TypeAlias = Callable[[str, nn.Module], None]

#: Called as a module ends: path, module, arguments by position and by name, result (None after an error).
Left: TypeAlias = Callable[[str, nn.Module, tuple[Any, ...], Mapping[str, Any], object], None]


class RunningModules:
    """The modules that run now, the outermost first."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, nn.Module]] = []

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for _, module in self._stack)

    @property
    def path(self) -> str:
        """Path of the innermost module that runs; empty for the network itself, and if none runs."""
        return self._stack[-1][0] if self._stack else ""

    @contextmanager
    def watching(self, network: nn.Module, entered: Entered | None = None, left: Left | None = None) -> Iterator[None]:
        """Keeps the path up to date while the network runs; a module with several paths has the first of them.

        Args:
            network: Network that runs inside the context.
            entered: Function to call as a module starts, once the path is the module's.
            left: Function to call as a module ends, while the path is still the module's.
        """
        handles = []
        for name, module in network.named_modules():

            def enter(module: nn.Module, _: object, name: str = name) -> None:
                self._stack.append((name, module))
                if entered is not None:
                    entered(name, module)

            def leave(
                module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object, name: str = name
            ) -> None:
                try:
                    if left is not None:
                        left(name, module, args, kwargs, result)
                finally:
                    self._stack.pop()

            handles.append(module.register_forward_pre_hook(enter))
            # Code may catch what a module raises, and go on.
            handles.append(module.register_forward_hook(leave, with_kwargs=True, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()
