"""The models on embeddings against formulas and references."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_infonas.encoding import Encoding
from nasplug_infonas.models.vae import VAESettings
from nasplug_infonas.predictor import Predictor, agreement
from nasplug_infonas.pretrain import PretrainSettings, graphs_of, pretrain
from nasplug_infonas.regressors import Belief, make_regressor, normal_scores
from nasplug_infonas.regressors.dngo import DNGO, precisions
from nasplug_infonas.regressors.process import GaussianProcess
from nasplug_infonas.strategies.bo import expected_improvement
from safetensors.numpy import load_file, save_file
from scipy.stats import multivariate_normal
from sklearn.ensemble import RandomForestRegressor

from nasplug.contract.errors import StudyError, UnknownNameError
from nasplug.testing import SyntheticSpace


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def problem(rng, count):
    x = rng.standard_normal((count, 3)).astype(np.float32)
    return x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1].astype(np.float64)


@pytest.mark.parametrize("name", ["forest", "gp", "dngo"])
def test_regressors_learn_and_know_where_they_know_little(name, rng):
    x, y = problem(rng, 60)
    new, truth = problem(rng, 200)
    belief = make_regressor(name).fit(x, y).predict(new)
    assert belief.mean.shape == belief.deviation.shape == (200,)
    assert np.corrcoef(belief.mean, truth)[0, 1] > 0.75
    assert (belief.deviation > 0).all()
    if name != "forest":  # trees are constant outside of what they have seen
        far = make_regressor(name).fit(x, y).predict(new + 20.0)
        assert far.deviation.mean() > belief.deviation.mean()


@pytest.mark.parametrize("name", ["forest", "gp", "dngo"])
def test_regressors_are_reproducible_and_take_constants(name, rng):
    x, y = problem(rng, 20)
    first, second = (make_regressor(name, seed=3).fit(x, y).predict(x) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    flat = make_regressor(name).fit(np.ones((4, 2)), np.full(4, 7.0)).predict(np.ones((2, 2)))
    np.testing.assert_allclose(flat.mean, 7.0)
    assert np.isfinite(flat.deviation).all()


@pytest.mark.parametrize("ranks", [False, True])
@pytest.mark.parametrize("name", ["forest", "gp", "dngo"])
def test_a_restored_regressor_believes_the_same_without_training(name, ranks, rng, tmp_path):
    x, y = problem(rng, 40)
    new, _ = problem(rng, 100)
    trained = make_regressor(name, 3, ranks=ranks).fit(x, y)
    save_file({key: np.ascontiguousarray(value) for key, value in trained.state().items()}, tmp_path / "state")
    restored = make_regressor(name, 3, ranks=ranks).restore(load_file(tmp_path / "state"), x, y)
    for found, expected in zip(restored.predict(new), trained.predict(new), strict=True):
        assert np.array_equal(found, expected)


def test_the_forest_is_that_of_scikit_learn(rng):
    x, y = problem(rng, 50)
    new, _ = problem(rng, 300)
    reference = RandomForestRegressor(n_estimators=200, max_features=3, random_state=5).fit(x, y)
    belief = make_regressor("forest", 5).fit(x, y).predict(new)
    each = np.stack([tree.predict(new) for tree in reference.estimators_])
    assert np.array_equal(belief.mean, each.mean(axis=0))
    assert np.array_equal(belief.deviation, each.std(axis=0))


def test_the_process_agrees_with_scikit_learn(rng):
    x, y = problem(rng, 30)
    model = GaussianProcess().fit(x, y)
    new, _ = problem(rng, 10)
    mean, deviation = model._process.predict(model._scale_x(new), return_std=True)
    noise = model._process.kernel_.k2.noise_level
    belief = model.predict(new)
    np.testing.assert_allclose(belief.mean, mean * y.std() + y.mean(), rtol=1e-6)
    np.testing.assert_allclose(belief.deviation**2, (deviation**2 - noise) * y.var(), rtol=1e-4, atol=1e-8)


def test_precisions_maximise_the_evidence(rng):
    features, y = rng.standard_normal((12, 5)), rng.standard_normal(12)
    a, b = precisions(features, y)

    def evidence(a, b):
        return multivariate_normal(np.zeros(12), features @ features.T / a + np.eye(12) / b).logpdf(y)

    best = evidence(a, b)
    for factor in (0.8, 1.25):
        assert evidence(factor * a, b) <= best + 1e-6
        assert evidence(a, factor * b) <= best + 1e-6


def test_dngo_is_bayesian_linear_regression_on_its_features(rng):
    x, y = problem(rng, 25)
    model = DNGO(epochs=5).fit(x, y)
    features, scaled = model._features(x), (y - y.mean()) / y.std()
    a, b = precisions(features, scaled)
    covariance = np.linalg.inv(b * features.T @ features + a * np.eye(features.shape[1]))
    belief = model.predict(x)
    np.testing.assert_allclose(
        belief.mean, features @ covariance @ (b * features.T @ scaled) * y.std() + y.mean(), rtol=1e-5
    )
    variance = np.einsum("ij,jk,ik->i", features, covariance, features)
    np.testing.assert_allclose(belief.deviation, np.sqrt(variance) * y.std(), rtol=1e-4)


def test_normal_scores_keep_order_and_ties():
    scores = normal_scores(np.array([0.1, 94.0, 93.0, 93.0]))
    assert scores[0] < scores[2] == scores[3] < scores[1]
    assert np.abs(scores).max() < 2.0
    np.testing.assert_allclose(normal_scores(np.array([1.0, 2.0])), -normal_scores(np.array([2.0, 1.0])))


def test_expected_improvement_is_the_expectation(rng):
    belief = Belief(np.array([0.5, 1.5]), np.array([1.0, 0.2]))
    draws = belief.mean + belief.deviation * rng.standard_normal((400_000, 2))
    np.testing.assert_allclose(expected_improvement(belief, 1.0), np.maximum(draws - 1.0, 0).mean(axis=0), rtol=0.02)


def test_a_predictor_ranks_architectures(rng):
    space = SyntheticSpace(length=4)
    training = PretrainSettings(epochs=8, lr=2e-2, beta=1 / 224, max_steps=400)
    sizes = VAESettings(hidden=32, latent=8, layers=3)
    embedder = pretrain(graphs_of(space), Encoding.of_space(space), settings=training, sizes=sizes)
    found = {item.key: item for item in (space.sample(rng) for _ in range(150))}
    items = list(found.values())
    values = [float(sum(space.vector(item))) for item in items]
    predictor = Predictor(embedder, space, regressor="gp", kind="codes").fit(items[:60], values[:60])
    assert agreement(predictor.predict(items[60:]).mean, values[60:])["spearman"] > 0.6
    with pytest.raises(StudyError, match="cannot fit"):
        predictor.fit([], [])
    with pytest.raises(UnknownNameError, match="did you mean 'forest'"):
        Predictor(embedder, space, regressor="forrest")


def test_agreement_by_hand():
    found = agreement([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found == pytest.approx({"pearson": 1.0, "spearman": 1.0, "kendall": 1.0, "rmse": np.sqrt(14 / 3)})
