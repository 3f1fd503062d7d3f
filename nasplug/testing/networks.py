"""Checks of networks that several suites share. Torch is imported when they are called."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.io import OutputKind


def seeded_build(space: Any, architecture: Any, task: Any, seed: int = 0) -> Any:
    """Builds a network with torch's global generator in a known state, as a worker does."""
    import torch

    torch.manual_seed(seed)
    return space.build(architecture, task)


def assert_trains(
    network: nn.Module, input_shape: tuple[int, ...], outputs: int, output: OutputKind = "vector"
) -> None:
    """Runs a batch of two forward and backward.

    Args:
        network: Network to try.
        input_shape: Shape of one input without the batch.
        outputs: Number of channels of the output.
        output: Kind of output; a map or a volume has the size of the input.

    Raises:
        AssertionError: Wrong output shape, numbers that are not finite, or weights without any gradient.
    """
    import torch

    assert isinstance(network, torch.nn.Module), f"build() gives a torch.nn.Module, not {type(network).__name__}"
    generator = torch.Generator().manual_seed(0)
    answer = network.train()(torch.randn(2, *input_shape, generator=generator))
    several = [answer] if isinstance(answer, torch.Tensor) else list(answer)  # deep supervision gives a list
    answer = several[0]
    expected = (2, outputs, *(input_shape[1:] if output in ("map", "volume") else ()))
    assert tuple(answer.shape) == expected, (
        f"output {tuple(answer.shape)} for {plural(outputs, 'output')} and a batch of 2"
    )
    assert all(torch.isfinite(each).all() for each in several), "the output is not finite"
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert parameters, "the network has nothing to train"
    torch.autograd.backward([each.square().mean() for each in several])
    assert any(parameter.grad is not None for parameter in parameters), "no weight has a gradient"
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in parameters), "a gradient is not finite"


def fingerprint(network: nn.Module) -> str:
    """Everything that a plugin which only looks must leave as it was: weights, modes, gradients and hooks."""
    from torch.nn.parameter import is_lazy

    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict(keep_vars=True).items()):
        if is_lazy(tensor):
            digest.update(f"{name} is lazy".encode())
            continue
        gradient = getattr(tensor, "grad", None)
        facts = (name, str(tensor.dtype), str(tensor.device), tuple(tensor.shape), tensor.requires_grad)
        digest.update(repr((facts, gradient is None)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for name, module in network.named_modules():
        hooks = (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
        digest.update(repr((name, type(module).__qualname__, module.training, hooks)).encode())
    return digest.hexdigest()
