"""One pass through a network without numbers, from its inputs to its outputs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs, TensorSpec
from nasplug.cost.counts import plain_operators
from nasplug.surgery.modules import PlacedChannels
from nasplug.surgery.rules import rule_of
from nasplug.surgery.state import state_of, tensors_in
from nasplug.surgery.trace import Trace, shape_of
from nasplug.surgery.unseen import fix_unseen


def traced(twin: nn.Module, inputs: Inputs) -> Trace:
    """Runs a network once and returns what became of its channels.

    Args:
        twin: Network on the meta device, as `meta_copy` makes it.
        inputs: Inputs that it is called with.

    Raises:
        SurgeryError: It cannot run without numbers.
    """
    trace = Trace(twin, rule_of)
    _run(trace, twin, inputs, training=False)
    modules = dict(twin.named_modules())
    unused = (
        name
        for name, tensor in state_of(twin).items()
        if tensor.ndim > 0
        and name not in trace.state
        and not isinstance(modules[name.rpartition(".")[0]], PlacedChannels)
    )
    if next(unused, None) is not None:  # such as heads that only training has
        _run(trace, twin, inputs, training=True)
    fix_unseen(trace, twin)
    return trace


#: Inputs at once: a number that widths are hardly multiples of, so that nothing else has the size of a batch of heads.
_BATCH = 43


def _empty(spec: TensorSpec) -> torch.Tensor:
    return torch.empty((_BATCH, *spec.shape), dtype=getattr(torch, spec.dtype), device="meta")


def _run(trace: Trace, twin: nn.Module, inputs: Inputs, *, training: bool) -> None:
    args = tuple(_empty(each) for each in inputs.args)
    kwargs = {name: _empty(each) for name, each in inputs.kwargs.items()}
    trace.come((args, kwargs))
    modes = [(module, module.training) for module in twin.modules()]
    twin.train(training)
    try:
        with torch.no_grad(), plain_operators(), sdpa_kernel(SDPBackend.MATH), trace.running(twin), trace:
            result = twin(*args, **kwargs)
    except Exception as error:  # a user's forward may raise anything
        raise SurgeryError(
            f"the channels of the network cannot be followed for {inputs}",
            where=type(twin).__name__,
            why=f"it does not run without numbers: {type(error).__name__}: {error}",
            fix="the network must run on such inputs without decisions that depend on values",
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    for tensor in tensors_in(result):
        if not training:
            trace.outputs.append(shape_of(tensor))
        trace.book.fix(trace.axes(tensor), "it is an output of the network")
