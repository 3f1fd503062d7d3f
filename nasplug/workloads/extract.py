"""The workload of any `nn.Module`, read off the operators that torch dispatches for one input on the meta device.

Nothing is computed and no weight is copied, but where control flow depends on values: then a copy runs once, on zeros.
Residual additions, attention and everything functional is seen, because
operators are recorded and not modules; module names come from a stack kept beside.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, InputsLike
from nasplug.cost.counts import plain_operators
from nasplug.cost.meta import meta_copy
from nasplug.cost.products import products_of, refuse, without_rule
from nasplug.cost.running import RunningModules
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.operators import CONSTANTS, HANDLERS, PRODUCTS, Call
from nasplug.workloads.workload import Workload

if TYPE_CHECKING:
    from torch._ops import OpOverload


def extract(network: nn.Module, inputs: InputsLike, *, bits: int = 8) -> Workload:
    """Reads the workload of a network in inference on one input, or on one of each of its inputs.

    Modules may state their precision and sparsity as attributes `weight_bits`, `input_bits`, `output_bits`,
    `weight_density`, `input_density`; the innermost module that has one counts. Weights with exact zeros lower the
    density by themselves. A weight that is used again is stored once.
    Whatever torch computes that has no kind of its own becomes a row `other`: a hardware
    target decides what to do about it, and none is dropped.

    Args:
        network: Network on any device, not touched.
        inputs: Input of the network, or the shape of one float input without the batch, such as (3, 224, 224).
        bits: Precision where no module states one.

    Raises:
        TaskError: The network cannot run on such inputs, or runs an operator whose products have no rule.
    """
    known = Inputs.of(inputs)
    try:
        recorder = _recorded(meta_copy(network), network, known, bits, "meta")
    except Exception as meta_error:  # a user's forward may raise anything
        try:
            device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
            recorder = _recorded(copy.deepcopy(network), network, known, bits, str(device))
        except Exception as error:
            raise TaskError(
                f"the workload cannot be read for {known}",
                where="extract",
                why=f"{type(error).__name__}: {error}",
                fix="the network must run on such inputs, without numbers or on zeros",
            ) from meta_error
    refuse(recorder.missed, "extract", "multiply-accumulates")
    return recorder.builder.build()


def _recorded(copied: nn.Module, network: nn.Module, known: Inputs, bits: int, device: str) -> _Recorder:
    recorder = _Recorder(known.shape, bits, network)
    args, kwargs = known.example(device=device)
    args, kwargs = tuple(map(torch.zeros_like, args)), {name: torch.zeros_like(each) for name, each in kwargs.items()}
    copied.eval()
    with torch.no_grad(), plain_operators(), sdpa_kernel(SDPBackend.MATH), recorder.running.watching(copied), recorder:
        for tensor in (*args, *kwargs.values()):
            recorder.made(tensor, INPUT)
        copied(*args, **kwargs)
    return recorder


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Turns every dispatched operator into a row, or into nothing where only the view of a tensor changes."""

    def __init__(self, input_shape: tuple[int, ...], bits: int, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.builder = WorkloadBuilder(input_shape, bits)
        self._network = network
        self._rows: dict[int, int] = {}
        self._states: set[int] = set()  # tensors made of nothing, such as the state that recurrent layers start from
        self._kept: list[Tensor] = []  # identities must not be used again
        self.running = RunningModules()
        self._densities: dict[str, float] = {}
        self._held: set[Hashable] = set()  # weights that a row has
        self._derived: dict[int, Hashable] = {}  # what constants in a storage were computed from
        self.missed: set[str] = set()  # operators whose products have no rule

    def made(self, tensor: Tensor, row: int) -> None:
        """Remembers which row wrote a tensor."""
        self._rows[id(tensor)] = row
        self._kept.append(tensor)

    def row_of(self, value: object) -> int | None:
        """The row that wrote a tensor; None for constants."""
        return self._rows.get(id(value)) if isinstance(value, Tensor) else None

    def holds(self, weight: Tensor) -> bool:
        """Whether the row made now is the first with this constant, whatever view of it is taken."""
        key = self._key(weight)
        fresh = key not in self._held
        self._held.add(key)
        return fresh

    def _key(self, constant: Tensor) -> Hashable:
        storage = constant.untyped_storage()._cdata
        return self._derived.get(storage, storage), constant.storage_offset(), constant.numel()

    def _derive(self, func: OpOverload, given: tuple[object, ...], outputs: list[Tensor]) -> None:
        """Constants computed from constants are the same ones if computed again in the same way."""
        parts = tuple(_flat(given))
        storages = {part.untyped_storage()._cdata for part in parts if isinstance(part, Tensor)}
        if not storages:
            return
        key = (str(func), *(self._key(part) if isinstance(part, Tensor) else repr(part) for part in parts))
        for index, output in enumerate(outputs):
            self._kept.append(output)
            storage = output.untyped_storage()._cdata
            if storage not in storages:
                self._derived[storage] = (key, index)

    def name(self, operator: str) -> str:
        """Name for a row made now."""
        return self.running.path or operator

    def stated(self) -> dict[str, float]:
        """Precision and sparsity that the surrounding modules state."""
        found: dict[str, float] = {}
        for name in ("weight_bits", "input_bits", "output_bits", "weight_density", "input_density"):
            for module in reversed(list(self.running)):
                value = getattr(module, name, None)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    found[name] = value
                    break
        return found

    def density(self) -> float:
        """Share of the current module's weights that are not exactly zero; 1 where they have no numbers."""
        name = self.running.path
        if name not in self._densities:
            weight = getattr(self._network.get_submodule(name), "weight", None)
            known = isinstance(weight, Tensor) and weight.device.type != "meta" and weight.numel() > 0
            self._densities[name] = float((weight != 0).float().mean()) if known else 1.0  # type: ignore[union-attr]
        return self._densities[name]

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        result: object = func(*args, **(kwargs or {}))
        operator = str(func.name()).split("::")[-1].split(".")[0]  # type: ignore[no-untyped-call]
        given = [value for value in _flat((args, kwargs or {})) if isinstance(value, Tensor)]
        outputs = [value for value in _flat(result) if isinstance(value, Tensor)]
        states = [value for value in given if id(value) in self._states]
        if operator in PRODUCTS and states and all(self.row_of(value) is None for value in given):
            for (
                value
            ) in states:  # a product of constants alone, such as of the state that a recurrent layer starts from
                self.made(value, INPUT)
        sources = [row for value in given if (row := self.row_of(value)) is not None]
        if not sources or operator in CONSTANTS:  # made of constants only, such as a positional encoding
            if len(states) == len(given):
                self._states |= {id(value) for value in outputs}
                self._kept += outputs
            self._derive(func, (args, kwargs or {}), outputs)
            return result
        if not outputs:
            return result
        before = len(self.builder)
        row = HANDLERS.get(operator, HANDLERS["*"])(Call(self, operator, args, kwargs or {}, outputs, sources))
        products = products_of(func, args, kwargs or {}, result)
        if without_rule(func) or (products is not None and self.builder.macs(before) != products):
            self.missed.add(str(getattr(func, "overloadpacket", func)))
        for output in outputs:
            self.made(output, row)
        return result


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _flat(item)
    else:
        yield value
