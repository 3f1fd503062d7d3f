"""A Gaussian process over architectures and epochs: where unfinished learning curves are going."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

#: Number of settings of the process that are compared by their likelihood.
_SETTINGS = 16


@dataclass(frozen=True)
class Setting:
    """Parameters of the process. Variances are relative to that of the observations.

    Attributes:
        lengthscale: Distance of features, relative to the median one, over which results are alike.
        limits: Variance between the limits of curves that features explain.
        own: Variance between them that features do not explain.
        curves: Variance of the shape of curves that features explain.
        common: Variance of the shape that all curves have in common.
        noise: Variance of a single observation.
    """

    lengthscale: float = 1.0
    limits: float = 0.6
    own: float = 0.1
    curves: float = 0.1
    common: float = 0.5
    noise: float = 0.02


class Curves:
    """Posterior of learning curves f(x, t) after some of their points.

    f is a limit, which depends on the features of the network, plus what is still missing at epoch t, which decays:
    the kernel over epochs is b^a / (t + t' + b)^a, a mixture of exponential decays (Swersky, Snoek and Adams,
    "Freeze-Thaw Bayesian Optimization", arXiv 1406.3896, equation 6, with a = 1). Decays are partly common to all
    curves and partly those of similar networks. `fitted` finds the most likely setting of some that are drawn.

    Args:
        features: Features of every observation, float64 (n, d).
        names: Number of the network of every observation, int64 (n,).
        times: Epochs divided by those of a whole training, float64 (n,).
        values: Observations, the larger the better, float64 (n,).
        setting: Parameters of the process.
    """

    def __init__(
        self,
        features: Array,
        names: npt.NDArray[np.int64],
        times: Array,
        values: Array,
        setting: Setting | None = None,
    ) -> None:
        self._features, self._names, self._times = features, names, times
        self._middle, self._spread = float(values.mean()), max(float(values.std()), 1e-12)
        self._values = (values - self._middle) / self._spread
        distances = _squared(features, features)
        above = distances[distances > 1e-12]
        self._unit = float(np.median(above)) if len(above) else 1.0
        self.setting = setting or Setting()
        self.likelihood, self._factor, self._weights = self._observed(self.setting)

    @classmethod
    def fitted(
        cls,
        features: Array,
        names: npt.NDArray[np.int64],
        times: Array,
        values: Array,
        rng: np.random.Generator,
    ) -> Curves:
        """The process with the most likely of the default setting and of some around it.

        Args:
            features: Features of every observation, float64 (n, d).
            names: Number of the network of every observation, int64 (n,).
            times: Epochs divided by those of a whole training, float64 (n,).
            values: Observations, float64 (n,).
            rng: Generator that draws settings.
        """
        settings = [Setting(), *(_drawn(rng) for _ in range(_SETTINGS - 1))]
        return max((cls(features, names, times, values, each) for each in settings), key=lambda one: one.likelihood)

    def predict(self, features: Array, names: npt.NDArray[np.int64], times: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of f, without the noise of an observation; float64 (m,) each.

        Args:
            features: float64 (m, d).
            names: Number of each network, that of an observed one if it is one; int64 (m,).
            times: Epochs divided by those of a whole training, float64 (m,).
        """
        cross = self._kernel(self.setting, (features, names, times), (self._features, self._names, self._times))
        setting = self.setting
        decay = 1.0 / (1.0 + 2.0 * times / _DECAY)
        prior = setting.limits + setting.own + (setting.curves + setting.common) * decay + _CONSTANT
        half = np.linalg.solve(self._factor, cross.T)
        variance = np.maximum(prior - np.square(half).sum(axis=0), 1e-10)
        mean: Array = self._middle + self._spread * (cross @ self._weights)
        return mean, np.sqrt(variance) * self._spread

    def _observed(self, setting: Setting) -> tuple[float, Array, Array]:
        """Logarithm of the likelihood of a setting, its Cholesky factor and the weights of the observations."""
        where = (self._features, self._names, self._times)
        gram = self._kernel(setting, where, where) + (setting.noise + 1e-8) * np.eye(len(self._values))
        factor = np.linalg.cholesky(gram).astype(np.float64)
        half = np.linalg.solve(factor, self._values)
        likelihood = -0.5 * float(half @ half) - float(np.log(np.diag(factor)).sum())
        return likelihood, factor, np.linalg.solve(factor.T, half).astype(np.float64)

    def _kernel(
        self,
        setting: Setting,
        a: tuple[Array, npt.NDArray[np.int64], Array],
        b: tuple[Array, npt.NDArray[np.int64], Array],
    ) -> Array:
        alike = np.exp(-0.5 * _squared(a[0], b[0]) / (self._unit * setting.lengthscale**2))
        same = a[1][:, None] == b[1][None, :]
        decay = 1.0 / (1.0 + (a[2][:, None] + b[2][None, :]) / _DECAY)
        kernel: Array = setting.limits * alike + setting.own * same
        kernel += (setting.curves * alike + setting.common) * decay + _CONSTANT
        return kernel


#: Scale of the decay, in parts of a whole training; and the variance of the mean, which is unknown.
_DECAY, _CONSTANT = 0.2, 1.0


def _drawn(rng: np.random.Generator) -> Setting:
    """A setting around the default one."""
    factors = np.exp(rng.normal(0.0, 1.0, 6))
    base = Setting()
    return Setting(
        base.lengthscale * float(np.sqrt(factors[0])),
        base.limits * float(factors[1]),
        base.own * float(factors[2]),
        base.curves * float(factors[3]),
        base.common * float(factors[4]),
        base.noise * float(factors[5]),
    )


def _squared(a: Array, b: Array) -> Array:
    """Squared distances, float64 (len(a), len(b))."""
    found: Array = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :] - 2.0 * a @ b.T
    return np.maximum(found, 0.0)
