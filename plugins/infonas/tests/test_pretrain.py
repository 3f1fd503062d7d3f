"""A short training learns, is reproducible, leaves no trace, and survives its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import PUBLISHED, Encoding
from nasplug_infonas.generation import acceptor, generate, graph_hash, quality
from nasplug_infonas.models.vae import GraphVAE, VAESettings
from nasplug_infonas.pretrain import PretrainSettings, graphs_of, pretrain
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201
from safetensors.torch import save_file

from nasplug.contract.errors import SpaceError, SpecError, StorageError
from nasplug.spaces.graph import Graph
from nasplug.testing.randomness import global_random_state

SMALL = VAESettings(hidden=32, latent=8, layers=3)
SPACE = NASBench101()
ENCODING = PUBLISHED["nasbench101"]


def train(**changes):
    settings = PretrainSettings(**{"epochs": 8, "batch_size": 32, "lr": 2e-2, "beta": 1 / 224, **changes})
    return pretrain(graphs_of(SPACE, limit=2000), ENCODING, settings=settings, sizes=SMALL)


@pytest.fixture(scope="module")
def embedder():
    return train()


def test_training_learns_to_give_back_graphs_it_has_not_seen(embedder):
    metrics = embedder.facts["metrics"]
    assert metrics["operation_accuracy"] > 0.95
    assert metrics["adjacency_accuracy"] > 0.75
    # The published figure cannot exceed the share of real rows unless padding is read as the first label.
    assert metrics["operation_accuracy_padded"] <= metrics["operation_accuracy"]
    assert embedder.facts["held_out"] == 200
    json.dumps(embedder.facts)


def test_the_same_seed_gives_the_same_encoder_and_leaves_no_trace(embedder):
    state, threads = global_random_state(), torch.get_num_threads()
    again = train()
    assert global_random_state() == state
    assert torch.get_num_threads() == threads
    assert again.fingerprint == embedder.fingerprint
    assert train(seed=2, max_steps=2).fingerprint != embedder.fingerprint


def test_an_encoder_survives_its_file(embedder, tmp_path):
    path = embedder.save(tmp_path / "new" / "enc.safetensors")
    state = torch.get_rng_state()
    again = Embedder.load(path)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn for weights that are read
    assert again.fingerprint == embedder.fingerprint
    assert (again.encoding, again.facts) == (embedder.encoding, embedder.facts)
    rng = np.random.default_rng(0)
    architectures = [SPACE.sample(rng) for _ in range(5)]
    vectors = embedder.embed_space(SPACE, architectures)
    assert vectors.shape == (5, 8)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(again.embed_space(SPACE, architectures), vectors)


def test_vectors_do_not_depend_on_the_batch(embedder):
    graphs = graphs_of(SPACE, limit=50)
    whole = embedder.embed_encoded(graphs)
    np.testing.assert_allclose(embedder.embed_encoded(graphs, batch=7), whole, atol=1e-5)
    np.testing.assert_allclose(whole, embedder.codes(graphs).mean(axis=1), atol=1e-6)
    assert embedder.embed_encoded(graphs[:0]).shape == (0, 8)


def test_files_that_are_no_encoders_are_refused(tmp_path):
    with pytest.raises(StorageError, match="nasplug infonas pretrain"):
        Embedder.load(tmp_path / "absent.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing of the kind")
    with pytest.raises(StorageError, match="cannot read"):
        Embedder.load(broken)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(StorageError, match="no encoder"):
        Embedder.load(other)
    save_file({"weight": torch.zeros(2)}, other, metadata={"nasplug_infonas": json.dumps({"format": 99})})
    with pytest.raises(StorageError, match="format 99"):
        Embedder.load(other)


def test_the_dense_embedding_needs_a_dense_layer(embedder):
    with pytest.raises(SpecError, match="no embedding 'dense'"):
        embedder.embed([], kind="dense")
    with_dense = Embedder(embedder.encoding, embedder.vae, dense=torch.nn.Linear(7 * 8, 3))
    graphs = graphs_of(SPACE, limit=4)
    expected = with_dense.dense(torch.from_numpy(embedder.codes(graphs)).flatten(1)).detach().numpy()
    np.testing.assert_allclose(with_dense.embed_encoded(graphs, "dense"), expected, atol=1e-6)


def test_drawn_graphs_are_counted_by_the_space(embedder):
    found = quality(embedder, acceptor(SPACE), count=500)
    assert 0.0 < found["validity"] <= found["validity_with_padding"] <= 1.0
    assert 0.5 < found["distinct_networks"] <= found["uniqueness"] <= 1.0  # pruning makes drawn graphs equal
    assert quality(embedder, acceptor(SPACE), count=500) == found
    assert len(generate(embedder, 3)) == 3
    assert quality(embedder, lambda graph: None, count=5)["uniqueness"] == 0.0
    with pytest.raises(SpecError, match="without statistics"):
        generate(Embedder(ENCODING, GraphVAE(5, 7)))


@pytest.mark.parametrize(
    ("accepted", "uniqueness", "distinct"), [(1, 1.0, 1.0), (2, 1.0, 0.5), (4, 0.75, 0.25), (0, 0.0, 0.0)]
)
def test_shares_are_those_of_the_graphs_that_are_networks(monkeypatch, accepted, uniqueness, distinct):
    """Of eight drawn graphs the first ones are networks: chains of which the last repeats the first."""
    chains = [Graph.chain(tuple("abc"[: 1 + i % 3])) for i in range(8)]
    monkeypatch.setattr("nasplug_infonas.generation.generate", lambda *_, **__: iter(chains))
    left = [*range(accepted)] * 2
    found = quality(
        None, lambda graph: "one key" if any(graph is each for each in chains[: len(left) // 2]) else None, 8
    )
    assert found["validity"] == accepted / 8
    assert (found["uniqueness"], found["distinct_networks"]) == (uniqueness, distinct)
    assert found["uniqueness_with_padding"] == uniqueness


def test_graphs_are_named_up_to_their_numbering():
    graph = Graph(("input", "a", "b", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
    renumbered = Graph(("input", "b", "a", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
    relabelled = Graph(("input", "a", "a", "output"), graph.edges)
    rewired = Graph(graph.labels, ((0, 1), (0, 2), (1, 2), (2, 3)))
    turned = Graph(graph.labels, ((0, 1), (0, 3), (1, 3), (2, 3)))
    assert graph_hash(graph) == graph_hash(renumbered)
    assert len({graph_hash(g) for g in (graph, relabelled, rewired, turned)}) == 4


def test_acceptors():
    accept = acceptor(SPACE)
    cell = SPACE.graph(SPACE.sample(np.random.default_rng(1)))
    assert accept(cell) is not None
    assert accept(Graph(cell.labels, ())) is None  # no path
    assert accept(Graph(cell.labels[:-1], ())) is None  # no output
    space = NASBench201()
    graph = space.graph(space.sample(np.random.default_rng(1)))
    assert acceptor(space)(graph) is not None
    assert acceptor(space)(Graph(graph.labels, graph.edges[1:])) is None
    assert acceptor(space)(Graph(("input", *("input",) * 6, "output"), graph.edges)) is None
    with pytest.raises(SpecError, match="from_graph"):
        acceptor(type("Mine", (), {"name": "mine"})())


def test_a_space_must_be_finite_or_limited():
    with pytest.raises(SpecError, match="limit=10000"):
        graphs_of(type("Endless", (), {"name": "endless", "graph": None})(), Encoding(("input",), 1))
    with pytest.raises(SpaceError, match="have no graphs"):
        graphs_of(type("Blind", (), {"name": "blind"})(), Encoding(("input",), 1), limit=0)
    with pytest.raises(SpecError, match="no training"):
        PretrainSettings(batch_size=1)
