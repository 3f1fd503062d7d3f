"""How much an evaluation is worth, from what the process believes about it. All are to be maximised."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import erfcx, log_ndtr

from nasplug_bogk.kernels.embedding import Array

#: Names of the acquisition functions; `ehvi` is in `nasplug_bogk.hypervolume`.
Acquisition = Literal["ei", "aei", "ucb", "thompson", "ehvi"]

_SQRT_2PI = np.sqrt(2.0 * np.pi)


def log_expected_improvement(mean: Array, deviation: Array, best: float | Array) -> Array:
    """Logarithm of the expected improvement over `best`, which stays informative where the improvement underflows.

    With z = (mean - best) / deviation, the expectation of max(f - best, 0) is deviation (phi(z) + z Phi(z)), Jones,
    Schonlau and Welch, Journal of Global Optimization 13 (1998), equation 15. For z < -1 the bracket is written as
    phi(z) (1 + z Phi(z) / phi(z)) with the scaled complementary error function, as Ament et al., "Unexpected
    Improvements to Expected Improvement", NeurIPS 2023, propose.

    Args:
        mean: float64 (n,), larger is better.
        deviation: Standard deviations > 0, (n,).
        best: Incumbent value to improve on: a number, or an array that broadcasts.
    """
    z = (mean - best) / deviation
    density = -0.5 * z * z - np.log(_SQRT_2PI)
    near = np.maximum(z, -1.0)
    direct = np.log(np.exp(-0.5 * near * near) / _SQRT_2PI + near * np.exp(log_ndtr(near)))
    far = np.clip(z, -1e6, -1.0)
    ratio = np.sqrt(np.pi / 2.0) * erfcx(-far / np.sqrt(2.0))  # Phi(z) / phi(z)
    # 1 + z Phi/phi cancels for very negative z, where its expansion starts with 1 / z².
    bracket = np.where(far < -200.0, 1.0 / (far * far), np.maximum(1.0 + far * ratio, 1e-300))
    result: Array = np.log(deviation) + np.where(z > -1.0, direct, density + np.log(bracket))
    return result


def augmentation(deviation: Array, noise_deviation: float) -> Array:
    """Logarithm of the factor of augmented expected improvement, 1 - noise / sqrt(deviation² + noise²).

    It takes back the worth of measuring again where noise is all that is left, Huang et al., Journal of Global
    Optimization 34 (2006), equation 14.
    """
    result: Array = np.log1p(-noise_deviation / np.sqrt(np.square(deviation) + noise_deviation**2) + 1e-12)
    return result


def upper_confidence_bound(mean: Array, deviation: Array, count: int) -> Array:
    """Optimism: mean + beta deviation with beta = sqrt(log(2 (n + 1))) after n observations.

    The form of Srinivas et al., "Gaussian Process Optimization in the Bandit Setting", ICML 2010, whose constants for
    a guarantee are far too careful in practice.
    """
    bound: Array = mean + np.sqrt(np.log(2.0 * (count + 1.0))) * deviation
    return bound
