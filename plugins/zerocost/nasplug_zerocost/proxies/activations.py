"""Which units are active for which inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nasplug_zerocost.batch import Batch

#: Activation functions of torch, as modules and functions come to them; what is positive behind them is active.
_FUNCTIONS = {
    "relu",
    "relu_",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "elu",
    "elu_",
    "gelu",
    "silu",
    "silu_",
}
_FUNCTIONS |= {"hardswish", "hardswish_", "mish", "mish_", "prelu", "_prelu_kernel", "softplus"}
#: Eigenvalues below this count as this: two inputs with the very same units have one of 0, and so has every input of a
#: network without activation functions.
_LEAST = 1e-10


class _Active(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up, over all activation functions, in how many units two inputs agree."""

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.agreement = torch.zeros(size, size, dtype=torch.float64)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        result: object = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__  # type: ignore[attr-defined]
        if name in _FUNCTIONS and isinstance(result, Tensor) and result.shape[:1] == self.agreement.shape[:1]:
            active = (result.flatten(1) > 0).double()
            self.agreement += active @ active.T + (1 - active) @ (1 - active).T
        return result


def naswot(network: nn.Module, batch: Batch) -> float:
    """Logarithm of the determinant of the kernel that counts in how many units two inputs agree.

    Source: Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021, equation 2.
    Any activation function counts whose positive values are the active ones, called as a module or as a function.

    Args:
        network: Network, in training mode for the statistics of the batch.
        batch: Inputs.
    """
    active = _Active(batch.size)
    with torch.no_grad(), active:
        batch.output(network)
    return float(torch.linalg.eigvalsh(active.agreement).clamp(min=_LEAST).log().sum())
