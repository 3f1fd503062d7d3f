"""How differently a network answers to different inputs."""

from __future__ import annotations

import torch
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug_zerocost.batch import Batch

_SMALL = 1e-5


def jacov(network: nn.Module, batch: Batch) -> float:
    """Score of the correlations between the gradients of the summed output with respect to single inputs.

    With eigenvalues v of the correlation matrix, -sum(log(v + k) + 1 / (v + k)) and k = 1e-5: more where inputs are
    told apart. Source: Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", first
    version, arXiv 2006.04647, 2020, equation 3.

    Args:
        network: Network.
        batch: Inputs, the first of which holds floating-point numbers.

    Raises:
        SpecError: The first input holds integers, which have no gradient.
    """
    first = next(iter((*batch.args, *batch.kwargs.values())))
    if not first.is_floating_point():
        raise SpecError("jacov needs inputs of real numbers", where="zerocost", fix="leave jacov out of `proxies`")
    inputs = first.detach().clone().requires_grad_()
    if batch.args:
        moved = Batch((inputs, *batch.args[1:]), batch.kwargs)
    else:
        moved = Batch((), {name: inputs if x is first else x for name, x in batch.kwargs.items()})
    (jacobian,) = torch.autograd.grad(moved.output(network).sum(), inputs)
    correlation = torch.corrcoef(jacobian.flatten(1).double()).nan_to_num()
    values = torch.linalg.eigvalsh(correlation).clamp(min=0.0)
    return float(-(torch.log(values + _SMALL) + 1.0 / (values + _SMALL)).sum())
