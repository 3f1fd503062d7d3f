"""A Gaussian process with a Matern kernel."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from nasplug_infonas.regressors.base import CHUNK, Belief, Floats, Scale, State, Vectors


class GaussianProcess:
    """A Gaussian process with a Matern 5/2 kernel and noise, fitted by marginal likelihood.

    What is trained are three numbers: signal, length and noise of the kernel. The rest is linear algebra on the data.

    Args:
        seed: Unused, nothing is random.
    """

    def __init__(self, seed: int = 0) -> None:
        del seed

    def fit(self, x: Vectors, y: Floats) -> GaussianProcess:
        """See `Regressor`."""
        from sklearn.exceptions import ConvergenceWarning

        length = math.sqrt(x.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer, too
            return self._on(x, y, _process(1.0, length, 0.1, trained=True))

    def _on(self, x: Vectors, y: Floats, process: Any) -> GaussianProcess:
        self._scale_x, self._scale_y = Scale(x), Scale(y)
        self._process = process.fit(self._scale_x(x), self._scale_y(y))
        return self

    def predict(self, x: Vectors) -> Belief:
        """See `Regressor`; the deviation is that of the value itself, without the noise."""
        process: Any = self._process
        signal = process.kernel_.k1  # without the noise
        means, variances = [], []
        for start in range(0, len(x), CHUNK):
            cross = signal(self._scale_x(x[start : start + CHUNK]), process.X_train_)
            means.append(cross @ process.alpha_)
            seen = solve_triangular(process.L_, cross.T, lower=True, check_finite=False)
            variances.append(signal.k1.constant_value - np.einsum("ij,ij->j", seen, seen))
        mean, variance = np.concatenate(means or [np.empty(0)]), np.concatenate(variances or [np.empty(0)])
        scale = self._scale_y
        return Belief(mean * scale.deviation + scale.mean, np.sqrt(np.maximum(variance, 1e-12)) * scale.deviation)

    def state(self) -> State:
        """See `Regressor`: signal variance, length and noise variance."""
        kernel = self._process.kernel_
        return {"kernel": np.array([kernel.k1.k1.constant_value, kernel.k1.k2.length_scale, kernel.k2.noise_level])}

    def restore(self, state: State, x: Vectors, y: Floats) -> GaussianProcess:
        """See `Regressor`."""
        return self._on(x, y, _process(*state["kernel"].tolist(), trained=False))


def _process(signal: float, length: float, noise: float, *, trained: bool) -> Any:
    """A process of scikit-learn that begins at these values, or keeps them."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(signal, (1e-2, 1e2)) * Matern(length, (1e-1 * length, 1e2 * length), nu=2.5)
    kernel = kernel + WhiteKernel(noise, (1e-5, 1e1))
    return GaussianProcessRegressor(kernel, alpha=1e-8, **({} if trained else {"optimizer": None}))
