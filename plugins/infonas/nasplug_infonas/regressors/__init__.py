"""Regressors on embeddings that say how sure they are: a random forest, a Gaussian process, and DNGO."""

from __future__ import annotations

from importlib import import_module

from nasplug.contract.errors import UnknownNameError, did_you_mean
from nasplug_infonas.regressors.base import Belief, Floats, Regressor, RegressorName, State, Vectors
from nasplug_infonas.regressors.scores import NormalScores, normal_scores

__all__ = [
    "Belief",
    "Floats",
    "NormalScores",
    "Regressor",
    "RegressorName",
    "State",
    "Vectors",
    "make_regressor",
    "normal_scores",
]

#: Where each one is; imported when it is made, as DNGO needs torch and the others do not.
_REGRESSORS = {
    "forest": "nasplug_infonas.regressors.forest:Forest",
    "gp": "nasplug_infonas.regressors.process:GaussianProcess",
    "dngo": "nasplug_infonas.regressors.dngo:DNGO",
}


def make_regressor(name: RegressorName, seed: int = 0, *, ranks: bool = False) -> Regressor:
    """Makes a regressor by name.

    Args:
        name: `forest`, `gp` or `dngo`.
        seed: Random seed of its training.
        ranks: Whether it learns normal scores instead of values, see `NormalScores`.

    Raises:
        UnknownNameError: There is no such regressor.
    """
    if name not in _REGRESSORS:
        raise UnknownNameError(
            f"there is no regressor {name!r}", where="nasplug_infonas", fix=did_you_mean(name, _REGRESSORS)
        )
    module, _, kind = _REGRESSORS[name].partition(":")
    made: Regressor = getattr(import_module(module), kind)(seed)
    return NormalScores(made) if ranks else made
