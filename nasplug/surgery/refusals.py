"""Networks that hold copies of themselves, which surgery would not change."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from nasplug.contract.errors import SurgeryError


def refuse_copies(network: nn.Module) -> None:
    """Refuses wrapped, compiled, averaged and scripted networks.

    Raises:
        SurgeryError: The network is one of them.
    """
    from torch.nn.parallel import DataParallel, DistributedDataParallel
    from torch.optim.swa_utils import AveragedModel

    for name, module in network.named_modules():
        why = fix = None
        kind = type(module).__name__
        if isinstance(module, (DataParallel, DistributedDataParallel)) or kind.startswith("FullyShardedDataParallel"):
            why = "its gradients are gathered in buckets of the sizes at the start"
            fix = "edit the network before it is wrapped, and wrap it again: end the fit, edit, and fit on"
        elif kind == "OptimizedModule":
            why = "the compiled graph has the sizes at the start"
            fix = "edit the network that was compiled (`network._orig_mod`) and compile it again"
        elif isinstance(module, AveragedModel):
            why = "the average of weights has the shapes at the start"
            fix = "average weights after the last edit"
        elif "ScriptModule" in kind or (kind in ("GraphModule",) and not hasattr(module, "graph")):
            why, fix = "its code cannot change", "edit the network before it is scripted"
        elif parametrize.is_parametrized(module):
            why = "its weights are computed from others"
            fix = "call torch.nn.utils.parametrize.remove_parametrizations first"
        if why is not None:
            raise SurgeryError(
                f"a {kind} cannot be edited", where=f"surgery, {name or 'the network'}", why=why, fix=fix
            )
