"""The cost that answers proxies."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, TrialError, UnknownNameError, did_you_mean
from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from torch import nn

    from nasplug.cost.candidate import Candidate
    from nasplug_zerocost.batch import Batch

#: What the batch is made of.
Source: TypeAlias = Literal["noise", "task"]


class ZeroCost:
    """Zero-cost proxies of the untrained network, each under `zerocost/NAME`; of all of them more is better.

    A proxy looks at one batch. `noise` needs no data: normal numbers and random classes, the same for every network.
    `task` takes training images and their classes, as the papers do, and reads them once per process.

    Args:
        proxies: Names: `naswot`, `jacov`, `synflow`, `snip`, `grasp`, `fisher`, `grad_norm`, `plain`, `l2_norm`.
        source: Origin of the batch, `noise` or `task`.
        size: Samples in the batch.
        seed: Seed of the batch.

    Raises:
        UnknownNameError: An unknown proxy.
        SpecError: An unknown source, no proxy, or a batch of fewer than two samples.
    """

    def __init__(
        self,
        proxies: Sequence[str] = ("naswot", "synflow"),
        source: Source = "noise",
        size: int = 32,
        seed: int = 0,
    ) -> None:
        from nasplug_zerocost.proxies import PROXIES

        unknown = [name for name in proxies if name not in PROXIES]
        if unknown:
            fix = did_you_mean(unknown[0], PROXIES)
            raise UnknownNameError(f"there is no proxy {unknown[0]!r}", where="zerocost", fix=fix)
        if source not in get_args(Source):
            raise SpecError(f"source is {source!r}", where="zerocost", fix="write `noise` or `task`")
        if not proxies or size < 2:
            raise SpecError(
                "expected a proxy and a batch of two or more",
                where="zerocost",
                why=f"proxies: {', '.join(proxies) or 'none'}; size: {size}",
            )
        self.proxies, self.source, self.size, self.seed = tuple(proxies), source, size, seed
        self._of_task: tuple[object, Batch] | None = None

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with."""
        return [{}, {"proxies": ["jacov", "snip", "grasp", "fisher", "grad_norm", "plain", "l2_norm"], "size": 4}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, Any]:
        """What `nasplug test-plugin` expects of it."""
        return {"nonnegative": False}

    @hookimpl
    def cost(self, candidate: Candidate, target: object) -> dict[str, float]:
        """Computes the proxies on copies of the network.

        Raises:
            SpecError: A proxy cannot be computed for such inputs.
            TrialError: A proxy of the network is not a finite number; its trial fails.
        """
        import torch

        from nasplug_zerocost.proxies import PROXIES

        batch = self._batch(candidate)
        found = {}
        for name in self.proxies:
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                torch.manual_seed(self.seed)
                value = PROXIES[name](_copied(candidate.network), batch)
            if not math.isfinite(value):
                raise TrialError("nan", f"{name} of the network is {value}", where="zerocost")
            found[f"zerocost/{name}"] = value
        return found

    def _batch(self, candidate: Candidate) -> Batch:
        from nasplug_zerocost.batch import noise, of_task

        if self.source == "noise":
            return noise(candidate.known_inputs, self.size, self.seed)
        if candidate.task is None:
            raise SpecError("there is no task to take images from", where="zerocost", fix="write `source: noise`")
        if self._of_task is None or self._of_task[0] is not candidate.task:
            self._of_task = (candidate.task, of_task(candidate.task, self.size, self.seed))
        return self._of_task[1]


def _copied(network: nn.Module) -> nn.Module:
    """A copy in training mode, for the statistics of the batch, without dropout."""
    from torch.nn.modules.dropout import _DropoutNd

    copied: nn.Module = copy.deepcopy(network).cpu().train()
    for module in copied.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(True)
    return copied
