"""Regressors on embeddings that say how sure they are: a random forest, a Gaussian process, and DNGO."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.stats import norm, rankdata
from torch import nn

from nasplug.contract.errors import UnknownNameError, did_you_mean
from nasplug_infonas.isolation import isolated

#: Vectors may be float32, values and beliefs are float64.
Vectors = NDArray[np.float32] | NDArray[np.float64]
Floats = NDArray[np.float64]
RegressorName = Literal["forest", "gp", "dngo"]
_CHUNK = 32_768


class Belief(NamedTuple):
    """Mean and standard deviation, float64 (N,) each."""

    mean: Floats
    deviation: Floats


class Regressor(Protocol):
    """Learns one number from vectors."""

    def fit(self, x: Vectors, y: Floats) -> Regressor:
        """Learns from vectors (n, d) with values (n,), n >= 1, and returns itself."""

    def predict(self, x: Vectors) -> Belief:
        """Believes something of vectors (N, d)."""


def make_regressor(name: RegressorName, seed: int = 0, *, ranks: bool = False) -> Regressor:
    """Makes a regressor by name.

    Args:
        name: `forest`, `gp` or `dngo`.
        seed: Of what is random in it.
        ranks: Whether it learns normal scores instead of values, see :class:`NormalScores`.

    Raises:
        UnknownNameError: There is no such regressor.
    """
    if name not in _REGRESSORS:
        raise UnknownNameError(
            f"there is no regressor {name!r}", where="nasplug_infonas", fix=did_you_mean(name, _REGRESSORS)
        )
    made: Regressor = _REGRESSORS[name](seed)
    return NormalScores(made) if ranks else made


def normal_scores(values: Floats) -> Floats:
    """The normal quantiles of the values' ranks, ties sharing theirs: float64 (n,), without outliers."""
    scores: Floats = norm.ppf((rankdata(values) - 0.5) / len(values))
    return scores


class NormalScores:
    """A regressor that learns the normal scores of values; its beliefs are scores, too.

    A few networks of a benchmark fail to train and score near chance, ten standard deviations below the rest. A model
    that is fitted to such values spends itself on them; for choosing the best, only the order matters.

    Args:
        regressor: What learns.
    """

    def __init__(self, regressor: Regressor) -> None:
        self.regressor = regressor

    def fit(self, x: Vectors, y: Floats) -> NormalScores:
        """See :class:`Regressor`."""
        self.regressor.fit(x, normal_scores(y))
        return self

    def predict(self, x: Vectors) -> Belief:
        """See :class:`Regressor`."""
        return self.regressor.predict(x)


class _Scale:
    """Brings columns to mean 0 and standard deviation 1; constant ones to 0."""

    def __init__(self, values: Vectors) -> None:
        self.mean = values.mean(axis=0)
        deviation = np.asarray(values.std(axis=0))
        self.deviation = np.where(deviation > 1e-12, deviation, 1.0)

    def __call__(self, values: Vectors) -> Floats:
        scaled: Floats = (np.asarray(values, dtype=np.float64) - self.mean) / self.deviation
        return scaled


class Forest:
    """A random forest; its deviation is that between the trees.

    Args:
        seed: Of the forest.
        trees: How many; 200 with 4 features per split is the setting with which info-NAS was published.
        features: Features looked at per split.
    """

    def __init__(self, seed: int = 0, trees: int = 200, features: int = 4) -> None:
        self.seed, self.trees, self.features = seed, trees, features

    def fit(self, x: Vectors, y: Floats) -> Forest:
        """See :class:`Regressor`."""
        from sklearn.ensemble import RandomForestRegressor

        self._forest = RandomForestRegressor(
            n_estimators=self.trees, max_features=min(self.features, x.shape[1]), random_state=self.seed
        ).fit(x, y)
        return self

    def predict(self, x: Vectors) -> Belief:
        """See :class:`Regressor`."""
        each = np.stack([tree.predict(np.asarray(x, dtype=np.float32)) for tree in self._forest.estimators_])
        return Belief(each.mean(axis=0), each.std(axis=0))


class GaussianProcess:
    """A Gaussian process with a Matern 5/2 kernel and noise, fitted by marginal likelihood.

    Args:
        seed: Unused, nothing is random.
    """

    def __init__(self, seed: int = 0) -> None:
        del seed

    def fit(self, x: Vectors, y: Floats) -> GaussianProcess:
        """See :class:`Regressor`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        self._scale_x, self._scale_y = _Scale(x), _Scale(y)
        length = math.sqrt(x.shape[1])
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(length, (1e-1 * length, 1e2 * length), nu=2.5)
        self._process = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-5, 1e1)), alpha=1e-8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer, too
            self._process.fit(self._scale_x(x), self._scale_y(y))
        return self

    def predict(self, x: Vectors) -> Belief:
        """See :class:`Regressor`; the deviation is that of the value itself, without the noise."""
        process: Any = self._process
        signal = process.kernel_.k1  # without the noise
        means, variances = [], []
        for start in range(0, len(x), _CHUNK):
            cross = signal(self._scale_x(x[start : start + _CHUNK]), process.X_train_)
            means.append(cross @ process.alpha_)
            seen = solve_triangular(process.L_, cross.T, lower=True, check_finite=False)
            variances.append(signal.k1.constant_value - np.einsum("ij,ij->j", seen, seen))
        mean, variance = np.concatenate(means or [np.empty(0)]), np.concatenate(variances or [np.empty(0)])
        scale = self._scale_y
        return Belief(mean * scale.deviation + scale.mean, np.sqrt(np.maximum(variance, 1e-12)) * scale.deviation)


class DNGO:
    """Bayesian linear regression on the features of a small network (Snoek et al., ICML 2015, arXiv 1502.05700).

    A network with one hidden layer of tanh units is trained on the data; its last layer is then replaced by a linear
    regression with prior precision a and noise precision b, both of which maximise the marginal likelihood. The
    belief about features f is m = f' w, s^2 = f' S f with S = (b F'F + a I)^-1, w = b S F'y.

    Args:
        seed: Of the network.
        units: Hidden units; 128 in arch2vec.
        epochs: Passes over the data.
        batch_size: Of a step.
        lr: Adam's learning rate.
    """

    def __init__(
        self, seed: int = 0, units: int = 128, epochs: int = 100, batch_size: int = 10, lr: float = 0.01
    ) -> None:
        self.seed, self.units, self.epochs, self.batch_size, self.lr = seed, units, epochs, batch_size, lr

    def fit(self, x: Vectors, y: Floats) -> DNGO:
        """See :class:`Regressor`."""
        self._scale_x, self._scale_y = _Scale(x), _Scale(y)
        inputs = torch.from_numpy(self._scale_x(x).astype(np.float32))
        targets = torch.from_numpy(self._scale_y(y).astype(np.float32))
        with isolated(self.seed):
            hidden, last = nn.Linear(x.shape[1], self.units), nn.Linear(self.units, 1)
            optimizer = torch.optim.Adam([*hidden.parameters(), *last.parameters()], self.lr, fused=True)
            for _ in range(self.epochs):
                for rows in torch.split(torch.randperm(len(inputs)), self.batch_size):
                    optimizer.zero_grad()
                    error = last(torch.tanh(hidden(inputs[rows]))).squeeze(1) - targets[rows]
                    error.square().mean().backward()
                    optimizer.step()
        self._hidden = hidden
        features = self._features(x)
        scaled = self._scale_y(y)
        a, b = _precisions(features, scaled)
        factor = cho_factor(b * features.T @ features + a * np.eye(features.shape[1]))
        self._weights = cho_solve(factor, b * features.T @ scaled)
        # S = C C' with C the inverse of the factor, so that s^2 is the squared length of C' f.
        self._root = cho_solve(factor, np.eye(features.shape[1]))
        self._root = np.linalg.cholesky((self._root + self._root.T) / 2 + 1e-12 * np.eye(len(self._root)))
        return self

    def _features(self, x: Vectors) -> Floats:
        with torch.inference_mode():
            found = torch.tanh(self._hidden(torch.from_numpy(self._scale_x(x).astype(np.float32)))).double().numpy()
        return np.concatenate([found, np.ones((len(found), 1))], axis=1)

    def predict(self, x: Vectors) -> Belief:
        """See :class:`Regressor`."""
        mean, deviation = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), _CHUNK):
            features = self._features(x[start : start + _CHUNK])
            mean[start : start + _CHUNK] = features @ self._weights
            deviation[start : start + _CHUNK] = np.linalg.norm(features @ self._root, axis=1)
        scale = self._scale_y
        return Belief(mean * scale.deviation + scale.mean, deviation * scale.deviation)


def _precisions(features: Floats, y: Floats) -> tuple[float, float]:
    """Prior and noise precision with the highest marginal likelihood; Bishop (2006), equation 3.86.

    Args:
        features: Float64 (n, h).
        y: Float64 (n,).
    """
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    squares, projected = singular**2, (left.T @ y) ** 2
    rest = max(float(y @ y - projected.sum()), 0.0)
    count = len(y)

    def negative_evidence(logs: Floats) -> float:
        a, b = np.exp(logs)
        # Variance of y along each left singular vector, and 1 / b along all others.
        along = squares / a + 1.0 / b
        others = count - len(singular)
        logarithms = np.log(along).sum() - others * math.log(b)
        return float(0.5 * (logarithms + (projected / along).sum() + b * rest))

    found = minimize(negative_evidence, np.log([1.0, 10.0]), method="L-BFGS-B", bounds=[(-7.0, 9.0), (-3.0, 9.0)])
    a, b = np.exp(found.x)
    return float(a), float(b)


_REGRESSORS: dict[str, Any] = {"forest": Forest, "gp": GaussianProcess, "dngo": DNGO}
