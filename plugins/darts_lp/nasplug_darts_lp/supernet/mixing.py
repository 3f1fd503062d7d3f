"""From logits to the weights of candidates: softmax, or samples of the Gumbel softmax, soft or hard.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019 (softmax); Jang, Gu and Poole, "Categorical Reparameterization with
Gumbel-Softmax", ICLR 2017; Dong and Yang, "GDAS", CVPR 2019 (hard samples, redrawn where they are not finite).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from nasplug.contract.errors import SpecError, TrialError, did_you_mean

Kind: TypeAlias = Literal["softmax", "gumbel", "gumbel_hard"]
Annealing: TypeAlias = Literal["linear", "exponential", "constant"]

_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Mixing:
    """How weights are made, and the course of the temperature.

    Attributes:
        kind: `softmax` weighs all candidates; `gumbel` weighs them by a sample that the temperature sharpens;
            `gumbel_hard` takes one candidate forward and the gradient of the soft sample backward.
        start: Temperature at the start of the search; None means 5 for samples, and 1 for softmax.
        end: Temperature at its end; None means 0.1 for samples, and 1 for softmax.
        annealing: How it goes from one to the other.

    Raises:
        SpecError: An unknown name, or a temperature that is not positive.
    """

    kind: Kind = "gumbel"
    start: float | None = None
    end: float | None = None
    annealing: Annealing = "linear"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mixing", self.kind, get_args(Kind)),
            ("annealing", self.annealing, get_args(Annealing)),
        ):
            if value not in known:
                raise SpecError(f"there is no {name} {value!r}", where="darts_lp", fix=did_you_mean(str(value), known))
        for temperature in (self.start, self.end):
            if temperature is not None and not 0.0 < temperature < math.inf:
                raise SpecError(
                    f"a temperature of {temperature} has no sense", where="darts_lp", fix="give one above 0"
                )

    def temperature(self, progress: float) -> float:
        """The temperature when a share `progress` (0 to 1) of the search is done."""
        sampled = self.kind != "softmax"
        start = self.start if self.start is not None else (5.0 if sampled else 1.0)
        end = self.end if self.end is not None else (0.1 if sampled else 1.0)
        if self.annealing == "constant":
            return start
        if self.annealing == "exponential":
            return start * math.pow(end / start, progress)
        return start + (end - start) * progress

    def weights(self, logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
        """Weights of the candidates: float (K,), sum 1.

        With G = -log(E), E drawn from Exp(1), a sample is softmax((log softmax(logits) + G) / temperature); a hard one
        is the one-hot vector of its largest entry, and passes the gradient on to the soft one.

        Args:
            logits: Float (K,).
            temperature: Above 0.
            generator: Source of the noise; default: torch's global one.

        Raises:
            TrialError: The logits are not finite.
        """
        if self.kind == "softmax":
            soft = torch.softmax(logits / temperature, dim=-1)
            if not bool(torch.isfinite(soft).all()):
                raise _not_finite(logits)
            return _centred(soft)
        logs = torch.log_softmax(logits, dim=-1)
        for _ in range(_DRAWS):
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
    """Standard Gumbel noise in the shape of a tensor; it may be infinite where the exponential draw is 0."""
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
        "the weights of the candidates are not finite",
        where="darts_lp",
        why=f"the logits are {[round(value, 4) for value in logits.detach().flatten().tolist()]}",
        fix="lower the learning rates of the supernet",
    )
