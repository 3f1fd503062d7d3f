"""From logits to the mixing weights of candidates: softmax, or samples of the Gumbel softmax or of a Dirichlet.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019 (softmax); Jang, Gu and Poole, "Categorical Reparameterization with
Gumbel-Softmax", ICLR 2017; Dong and Yang, "GDAS", CVPR 2019 (hard samples, sampled again where they are not finite);
Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021, arXiv 2006.10355 (`dirichlet`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.contract.errors import TrialError
from nasplug_darts_lp.supernet.mixing import Mixing

_ATTEMPTS = 100


def mixing_weights(
    mixing: Mixing, logits: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    """Returns mixing weights of the candidates: float (K,), sum 1.

    With G = -log(E), E from Exp(1), a sample is softmax((log softmax(logits) + G) / temperature); a hard one
    is the one-hot vector of its largest entry, and passes the gradient on to the soft one. A sample of the Dirichlet
    distribution with concentrations K softmax(logits) / temperature has the softmax as its mean, and passes gradients
    through implicit reparameterisation. The concentrations begin at 1, as those of DrNAS, elu(a) + 1; their sum is
    kept, so that logits have one meaning for all kinds of weights, where DrNAS holds it by a penalty.

    Args:
        mixing: Kind of the weights.
        logits: Logits (K,).
        temperature: Temperature, above 0.
        generator: Source of Gumbel noise; torch's global one by default, and always for the Dirichlet distribution.

    Raises:
        TrialError: The logits are not finite.
    """
    if mixing.kind == "softmax":
        soft = torch.softmax(logits / temperature, dim=-1)
        if not bool(torch.isfinite(soft).all()):
            raise _not_finite(logits)
        return _centred(soft)
    if mixing.kind == "dirichlet":
        return _centred(_dirichlet(logits, temperature))
    logs = torch.log_softmax(logits, dim=-1)
    for _ in range(_ATTEMPTS):
        soft = torch.softmax((logs + gumbel(logits, generator)) / temperature, dim=-1)
        if bool(torch.isfinite(soft).all()):
            break
    else:
        raise _not_finite(logits)
    if mixing.kind == "gumbel":
        return _centred(soft)
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return _centred(hard + soft - soft.detach())


def gumbel(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Samples standard Gumbel noise in the shape of a tensor; it may be infinite where the exponential sample is 0."""
    return -torch.empty_like(like, requires_grad=False).exponential_(generator=generator).log()


def _dirichlet(logits: Tensor, temperature: float) -> Tensor:
    """A sample whose mean is the softmax.

    Raises:
        TrialError: The logits are not finite.
    """
    concentration = (logits.numel() / temperature * torch.softmax(logits, dim=-1)).clamp(min=1e-3)
    if not bool(torch.isfinite(concentration).all()):
        raise _not_finite(logits)
    sample: Tensor = torch.distributions.Dirichlet(concentration, validate_args=False).rsample()
    return sample


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
