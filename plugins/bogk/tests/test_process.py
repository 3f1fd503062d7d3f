"""Gaussian-process regression and the fit of its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_bogk.fitting import _Given, _loss, fit
from nasplug_bogk.kernels import EmbeddingKernel, GraphKernel, Part, ShortestPath, make_kernel
from nasplug_bogk.process import GaussianProcess, factorise
from scipy.linalg import LinAlgError
from scipy.optimize import approx_fprime

from nasplug.spaces.graph import Graph


def some_graphs(count, seed=0):
    rng = np.random.default_rng(seed)
    return [Graph.chain(tuple(rng.choice(["conv", "pool", "skip"], rng.integers(1, 6)))) for _ in range(count)]


def truth(graphs):
    """More convolutions are better, and pools after convolutions."""
    return np.array([g.labels.count("conv") + 0.5 * (g.labels[-2] == "pool") for g in graphs], dtype=float)


def standardised(values):
    return (values - values.mean()) / values.std()


class Given(GraphKernel):
    """Stationary on the real line: graphs stand for their number of nodes."""

    def gram(self, a, b=None, *, rough=False):
        x, y = (np.array([len(g.labels) for g in graphs], dtype=float) for graphs in (a, a if b is None else b))
        return np.exp(-0.5 * np.square((x[:, None] - y) / 1.5))


def test_prediction_equals_scikit_learn():
    sklearn = pytest.importorskip("sklearn.gaussian_process", reason="the reference implementation")
    train = [Graph.chain(("conv",) * n) for n in (1, 2, 4, 7)]
    test = [Graph.chain(("conv",) * n) for n in (1, 3, 5, 12)]
    y = np.array([0.3, -0.2, 1.0, -1.1])
    process = GaussianProcess(Given(), scale=2.0, noise=0.05)
    process.add(train, y)
    kernels = sklearn.kernels
    kernel = kernels.ConstantKernel(2.0) * kernels.RBF(1.5) + kernels.WhiteKernel(2.0 * 0.05)
    reference = sklearn.GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(_column(train), y)
    mean, deviation = process.predict(test)
    expected_mean, expected_deviation = reference.predict(_column(test), return_std=True)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-9)
    np.testing.assert_allclose(deviation**2, expected_deviation**2 - 0.1, atol=1e-9)  # theirs holds the noise
    np.testing.assert_allclose(process.mean(test), mean)
    np.testing.assert_allclose(
        process.log_marginal_likelihood(), reference.log_marginal_likelihood(kernel.theta), rtol=1e-9
    )


def _column(graphs):
    return np.array([[len(graph.labels)] for graph in graphs], dtype=float)


def test_observing_in_pieces_equals_observing_at_once():
    graphs, kernel = some_graphs(30), make_kernel("wl+sp")
    y = standardised(truth(graphs))
    whole, pieces = GaussianProcess(kernel, noise=0.01), GaussianProcess(kernel, noise=0.01)
    whole.add(graphs, y)
    for start, end in ((0, 1), (1, 12), (12, 12), (12, 30)):
        pieces.add(graphs[start:end], y[start:end])
    probe = some_graphs(10, seed=1)
    np.testing.assert_allclose(whole.smoothed(), whole.mean(graphs), atol=1e-9)
    np.testing.assert_allclose(pieces.predict(probe), whole.predict(probe), atol=1e-7)


def test_believing_shrinks_the_uncertainty_and_keeps_the_mean():
    graphs, kernel = some_graphs(20), make_kernel("gcn_infinite")
    process = GaussianProcess(kernel, noise=0.01)
    process.add(graphs, standardised(truth(graphs)))
    probe = some_graphs(8, seed=2)
    believing = process.fork()
    believing.add(probe[:1], process.mean(probe[:1]))
    np.testing.assert_allclose(believing.mean(probe), process.mean(probe), atol=1e-5)
    assert (believing.predict(probe)[1] <= process.predict(probe)[1] + 1e-9).all()
    assert believing.predict(probe)[1][0] < 0.2
    assert len(process.graphs) == 20, "the original must not change"


def test_nothing_observed_gives_the_prior():
    process = GaussianProcess(make_kernel("wl"), scale=4.0)
    mean, deviation = process.predict(some_graphs(3))
    assert (mean == 0).all()
    assert (deviation == 2.0).all()


def test_samples_have_the_moments_of_the_posterior():
    graphs = some_graphs(6)
    process = GaussianProcess(make_kernel("wl"), scale=1.5, noise=0.1)
    process.add(graphs, standardised(truth(graphs)))
    probe = list(dict.fromkeys(some_graphs(12, seed=3)))[:4]
    rng = np.random.default_rng(0)
    samples = np.array([process.sample(probe, rng) for _ in range(600)])
    mean, deviation = process.predict(probe)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(samples.std(axis=0), deviation, atol=0.1)


def test_duplicates_do_not_break_the_factorisation():
    graphs = some_graphs(5) * 4
    process = GaussianProcess(make_kernel("wl"), noise=0.0)
    process.add(graphs, standardised(truth(graphs)))
    assert np.isfinite(process.predict(some_graphs(5, seed=1))).all()
    with pytest.raises(LinAlgError):
        factorise(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("shape", ["matern52", "rbf", "linear"])
@pytest.mark.parametrize("noise", [None, 0.02])
def test_the_gradient_of_the_likelihood(shape, noise):
    graphs = some_graphs(15)
    given = []
    for name in ("wl", "sp"):
        part = make_kernel(name, shape).parts[0]
        separation = part.separation(shape, graphs, graphs)
        given.append(_Given(separation, 2.0))
    x = np.array([0.3, -0.4, 0.7] + ([-3.0] if noise is None else []))
    arguments = (shape, given, standardised(truth(graphs)), noise)
    expected = approx_fprime(x, lambda z: _loss(z, *arguments)[0], 1e-6)
    np.testing.assert_allclose(_loss(x, *arguments)[1], expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("noise", [1e-4, 1e-2, 0.5])
def test_the_noise_has_a_prior_around_a_hundredth_of_the_variance(noise):
    """The logarithm has a deviation of 2; everything else in the loss is the same for known and learned noise."""
    graphs = some_graphs(12)
    given = [_Given(make_kernel("wl", "rbf").parts[0].separation("rbf", graphs, graphs), 2.0)]
    targets, x = standardised(truth(graphs)), np.array([0.3])
    known = _loss(x, "rbf", given, targets, noise)[0]
    learned = _loss(np.append(x, np.log(noise)), "rbf", given, targets, None)[0]
    assert learned - known == pytest.approx(0.5 * (np.log(noise / 1e-2) / 2) ** 2, abs=1e-9)


@pytest.mark.parametrize("name", ["wl", "sp", "rw", "gcn", "gcn_infinite", "wl+gcn_infinite"])
def test_a_fitted_process_generalises(name):
    graphs, probe = some_graphs(60), some_graphs(60, seed=1)
    process = fit(make_kernel(name), graphs, standardised(truth(graphs)))
    error = process.mean(probe) - (truth(probe) - truth(graphs).mean()) / truth(graphs).std()
    assert np.sqrt(np.mean(error**2)) < 0.35
    assert sum(part.weight for part in process.kernel.parts) == pytest.approx(1.0)


def test_the_likelihood_finds_noise():
    graphs = some_graphs(120)
    clean = truth(graphs)
    noisy = clean + np.random.default_rng(1).normal(0, clean.std(), len(clean))
    kernel = make_kernel("sp")
    quiet, loud = fit(kernel, graphs, standardised(clean)), fit(kernel, graphs, standardised(noisy))
    assert quiet.noise * quiet.scale < 0.02
    assert loud.noise * loud.scale == pytest.approx(0.5, abs=0.2)  # half of the variance is noise
    assert fit(kernel, graphs, standardised(noisy), noise=0.5).noise == 0.5


def test_the_likelihood_chooses_depth_and_weights():
    graphs = list(dict.fromkeys(some_graphs(200)))
    counts = standardised(np.array([g.labels.count("conv") for g in graphs], dtype=float))
    shallow = fit(make_kernel("wl", "matern52"), graphs, counts)
    assert shallow.kernel.parts[0].variant == 0
    order = standardised(np.array([g.labels.index("conv") if "conv" in g.labels else 0 for g in graphs], dtype=float))
    deep = fit(make_kernel("wl", "matern52"), graphs, order)
    assert deep.kernel.parts[0].variant > 0


def test_parameters_come_from_a_part_of_many_observations():
    graphs = some_graphs(90)
    process = fit(make_kernel("sp"), graphs, standardised(truth(graphs)), limit=40)
    assert len(process.graphs) == 90


def test_linear_kernels_have_no_lengthscale():
    part = Part(ShortestPath())
    graphs = some_graphs(5)
    short, long = (EmbeddingKernel((Part(part.embedding, 0, length),), "linear") for length in (0.1, 10.0))
    assert (short.gram(graphs) == long.gram(graphs)).all()


@pytest.mark.parametrize("noise", [0.0, 1e-8])
@pytest.mark.parametrize("kernel", [Given(), make_kernel("wl"), make_kernel("wl", "rbf")], ids=["given", "wl", "rbf"])
def test_where_everything_is_known_samples_are_what_is_known(kernel, noise):
    """Without noise the posterior there has no width: its covariance is zero up to rounding, on either side."""
    graphs = [Graph.chain(("conv",) * n) for n in (1, 2, 4, 7)]
    y = np.array([0.3, -0.2, 1.0, -1.1])
    process = GaussianProcess(kernel, noise=noise)
    process.add(graphs, y)
    for seed in range(5):
        again = [*graphs, graphs[0], graphs[2]]
        drawn = process.sample(again, np.random.default_rng(seed))
        np.testing.assert_allclose(drawn, [*y, y[0], y[2]], atol=2e-3)
