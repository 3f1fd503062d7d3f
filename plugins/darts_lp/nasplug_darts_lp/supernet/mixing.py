"""From logits to the mixing weights of candidates: softmax, or samples of the Gumbel softmax, soft or hard.

The driver reads the settings, so that torch is imported where tensors are computed.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019 (softmax); Jang, Gu and Poole, "Categorical Reparameterization with
Gumbel-Softmax", ICLR 2017; Dong and Yang, "GDAS", CVPR 2019 (hard samples, sampled again where they are not finite).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, TrialError, did_you_mean

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Kind: TypeAlias = Literal["softmax", "gumbel", "gumbel_hard"]
Annealing: TypeAlias = Literal["linear", "exponential", "constant"]

_ATTEMPTS = 100


@dataclass(frozen=True)
class Mixing:
    """How mixing weights are made, and the course of the temperature.

    Attributes:
        kind: `softmax` weighs all candidates; `gumbel` weighs them by a sample that the temperature sharpens;
            `gumbel_hard` takes one candidate forward and the gradient of the soft sample backward.
        temperature: Temperatures at the start and at the end of the search; None means 5 and 0.1 for samples, and 1 for
            softmax.
        annealing: Course from one to the other, `linear`, `exponential` or `constant`.

    Raises:
        SpecError: An unknown name, or a temperature that is not positive.
    """

    kind: Kind = "gumbel"
    temperature: tuple[float, float] | None = None
    annealing: Annealing = "linear"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mixing", self.kind, get_args(Kind)),
            ("annealing", self.annealing, get_args(Annealing)),
        ):
            if value not in known:
                raise SpecError(f"unknown {name} {value!r}", where="darts_lp", fix=did_you_mean(str(value), known))
        for temperature in self.temperature or ():
            if not 0.0 < temperature < math.inf:
                raise SpecError(f"temperature must be > 0, got {temperature}", where="darts_lp")

    def temperature_at(self, progress: float) -> float:
        """Returns the temperature when a fraction of the search is done.

        Args:
            progress: Fraction done, 0 to 1.
        """
        start, end = self.temperature or ((1.0, 1.0) if self.kind == "softmax" else (5.0, 0.1))
        if self.annealing == "constant":
            return start
        if self.annealing == "exponential":
            return start * math.pow(end / start, progress)
        return start + (end - start) * progress

    def weights(self, logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
        """Returns mixing weights of the candidates: float (K,), sum 1.

        With G = -log(E), E from Exp(1), a sample is softmax((log softmax(logits) + G) / temperature); a hard one
        is the one-hot vector of its largest entry, and passes the gradient on to the soft one.

        Args:
            logits: Logits (K,).
            temperature: Temperature, above 0.
            generator: Source of the noise; torch's global one by default.

        Raises:
            TrialError: The logits are not finite.
        """
        import torch

        if self.kind == "softmax":
            soft = torch.softmax(logits / temperature, dim=-1)
            if not bool(torch.isfinite(soft).all()):
                raise _not_finite(logits)
            return _centred(soft)
        logs = torch.log_softmax(logits, dim=-1)
        for _ in range(_ATTEMPTS):
            soft = torch.softmax((logs + gumbel(logits, generator)) / temperature, dim=-1)
            if bool(torch.isfinite(soft).all()):
                break
        else:
            raise _not_finite(logits)
        if self.kind == "gumbel":
            return _centred(soft)
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
        return _centred(hard + soft - soft.detach())


def gumbel(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Samples standard Gumbel noise in the shape of a tensor; it may be infinite where the exponential sample is 0."""
    import torch

    return -torch.empty_like(like, requires_grad=False).exponential_(generator=generator).log()


def _centred(weights: Tensor) -> Tensor:
    """Takes the first candidate's gradient off that of all.

    The weights sum to 1, so that this changes nothing but rounding: candidates with equal gradients get exactly 0 on
    their logits, and not a remainder that Adam would blow up to whole steps.
    """
    if weights.requires_grad:
        weights.register_hook(lambda gradient: gradient - gradient[0])  # type: ignore[no-untyped-call]
    return weights


def _not_finite(logits: Tensor) -> TrialError:
    return TrialError(
        "nan",
        "the mixing weights of the candidates are not finite",
        where="darts_lp",
        why=f"the logits are {[round(value, 4) for value in logits.detach().flatten().tolist()]}",
        fix="lower the learning rates of the supernet",
    )
