"""DNGO: Bayesian linear regression on what a small network has learned."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from torch import nn

from nasplug_infonas.isolation import isolated, limited
from nasplug_infonas.regressors.base import CHUNK, Belief, Floats, Scale, State, Vectors


class DNGO:
    """Bayesian linear regression on the features of a small network (Snoek et al., ICML 2015, arXiv 1502.05700).

    A network with one hidden layer of tanh units is trained on the data; its last layer is then replaced by a linear
    regression with prior precision a and noise precision b, both of which maximise the marginal likelihood. The
    belief about features f is m = f' w, s^2 = f' S f with S = (b F'F + a I)^-1, w = b S F'y.

    Args:
        seed: Random seed of the network.
        units: Hidden units; 128 in arch2vec.
        epochs: Passes over the data.
        batch_size: Rows per step.
        lr: Adam's learning rate.
    """

    def __init__(
        self, seed: int = 0, units: int = 128, epochs: int = 100, batch_size: int = 10, lr: float = 0.01
    ) -> None:
        self.seed, self.units, self.epochs, self.batch_size, self.lr = seed, units, epochs, batch_size, lr

    def fit(self, x: Vectors, y: Floats) -> DNGO:
        """See `Regressor`."""
        self._scale_x, self._scale_y = Scale(x), Scale(y)
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
        self._hidden = hidden.requires_grad_(False)
        self._precisions = precisions(self._features(x), self._scale_y(y))
        return self._regress(x, y)

    def _regress(self, x: Vectors, y: Floats) -> DNGO:
        """The linear regression on the features of the data."""
        features, scaled = self._features(x), self._scale_y(y)
        a, b = self._precisions
        factor = cho_factor(b * features.T @ features + a * np.eye(features.shape[1]))
        self._weights = cho_solve(factor, b * features.T @ scaled)
        # S = C C' with C the inverse of the factor, so that s^2 is the squared length of C' f.
        self._root = cho_solve(factor, np.eye(features.shape[1]))
        self._root = np.linalg.cholesky((self._root + self._root.T) / 2 + 1e-12 * np.eye(len(self._root)))
        return self

    def _features(self, x: Vectors) -> Floats:
        with torch.inference_mode(), limited():
            found = torch.tanh(self._hidden(torch.from_numpy(self._scale_x(x).astype(np.float32)))).double().numpy()
        return np.concatenate([found, np.ones((len(found), 1))], axis=1)

    def predict(self, x: Vectors) -> Belief:
        """See `Regressor`."""
        mean, deviation = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), CHUNK):
            features = self._features(x[start : start + CHUNK])
            mean[start : start + CHUNK] = features @ self._weights
            deviation[start : start + CHUNK] = np.linalg.norm(features @ self._root, axis=1)
        scale = self._scale_y
        return Belief(mean * scale.deviation + scale.mean, deviation * scale.deviation)

    def state(self) -> State:
        """See `Regressor`: the hidden layer and the two precisions."""
        weight, bias = (value.numpy() for value in (self._hidden.weight, self._hidden.bias))
        return {"weight": weight, "bias": bias, "precisions": np.array(self._precisions)}

    def restore(self, state: State, x: Vectors, y: Floats) -> DNGO:
        """See `Regressor`."""
        self._scale_x, self._scale_y = Scale(x), Scale(y)
        units, size = state["weight"].shape
        self._hidden = nn.Linear(size, units, device="meta").requires_grad_(False)
        values = {name: torch.from_numpy(np.array(state[name])) for name in ("weight", "bias")}
        self._hidden.load_state_dict(values, assign=True)
        a, b = state["precisions"].tolist()
        self._precisions = (a, b)
        return self._regress(x, y)


def precisions(features: Floats, y: Floats) -> tuple[float, float]:
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
