"""A random forest as plain arrays."""

from __future__ import annotations

import numpy as np

from nasplug_infonas.regressors.base import CHUNK, Belief, Floats, State, Vectors


class Forest:
    """A random forest; its deviation is that between the trees.

    scikit-learn grows the trees. They are kept as arrays of nodes, all trees in a row, so that a forest can be written
    to a file without pickle.

    Args:
        seed: Random seed of the forest.
        trees: Number of trees; 200 with 4 features per split is the setting with which info-NAS was published.
        features: Features looked at per split.
    """

    def __init__(self, seed: int = 0, trees: int = 200, features: int = 4) -> None:
        self.seed, self.trees, self.features = seed, trees, features
        self._nodes: State = {}

    def fit(self, x: Vectors, y: Floats) -> Forest:
        """See `Regressor`."""
        from sklearn.ensemble import RandomForestRegressor

        grown = RandomForestRegressor(
            n_estimators=self.trees, max_features=min(self.features, x.shape[1]), random_state=self.seed
        ).fit(x, y)
        trees = [estimator.tree_ for estimator in grown.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        pairs = list(zip(trees, starts.tolist(), strict=True))
        # A leaf has -1 on both sides.
        left = [np.where(tree.children_left < 0, -1, tree.children_left + start) for tree, start in pairs]
        right = [np.where(tree.children_right < 0, -1, tree.children_right + start) for tree, start in pairs]
        self._nodes = {
            "roots": starts.astype(np.int32),
            "left": np.concatenate(left).astype(np.int32),
            "right": np.concatenate(right).astype(np.int32),
            "feature": np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32),
            "threshold": np.concatenate([tree.threshold for tree in trees]),
            "value": np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        }
        return self

    def predict(self, x: Vectors) -> Belief:
        """See `Regressor`."""
        points = np.asarray(x, dtype=np.float32)  # as scikit-learn compares them with thresholds
        each = np.empty((len(self._nodes["roots"]), len(points)))
        for start in range(0, len(points), CHUNK):
            part = points[start : start + CHUNK]
            for number, root in enumerate(self._nodes["roots"].tolist()):
                each[number, start : start + CHUNK] = self._nodes["value"][self._leaves(part, root)]
        return Belief(each.mean(axis=0), each.std(axis=0))

    def _leaves(self, points: Vectors, root: int) -> Vectors:
        """The leaf (N,) of each point in the tree that begins at a node."""
        nodes = self._nodes
        found = np.full(len(points), root)
        moving = np.flatnonzero(nodes["left"][found] >= 0)
        while len(moving):
            at = found[moving]
            low = points[moving, nodes["feature"][at]] <= nodes["threshold"][at]
            found[moving] = at = np.where(low, nodes["left"][at], nodes["right"][at])
            moving = moving[nodes["left"][at] >= 0]
        return found

    def state(self) -> State:
        """See `Regressor`: the nodes."""
        return self._nodes

    def restore(self, state: State, x: Vectors, y: Floats) -> Forest:
        """See `Regressor`."""
        del x, y  # the trees know enough
        self._nodes = dict(state)
        return self
