"""What can be wrong with a cluster: one message each, in seconds."""

from __future__ import annotations

import socket
import sys
import time
import types

import pytest
from nasplug_ray import cluster

from nasplug.contract.errors import MissingExtraError, PluginError, SpecError, StorageError


@pytest.fixture
def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_nobody_at_the_address_is_found_out_at_once(free_port):
    started = time.monotonic()
    with pytest.raises(SpecError, match=f"there is no cluster at '127.0.0.1:{free_port}'") as caught:
        cluster.check_address(f"127.0.0.1:{free_port}")
    assert time.monotonic() - started < 2 * cluster.PATIENCE
    assert "ray start --head" in str(caught.value)


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:port", ""])
def test_what_is_not_an_address(address):
    with pytest.raises(SpecError, match="expected host:port"):
        cluster.check_address(address)


def test_clients_are_sent_to_the_head():
    with pytest.raises(SpecError, match="not as a client"):
        cluster.check_address("ray://head:10001")


def test_somebody_at_the_address(free_port):
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", free_port))
        opened.listen()
        cluster.check_address(f"127.0.0.1:{free_port}")
    cluster.check_address("auto")


class ObjectStoreFullError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConnectionError("Could not find any running Ray instance."), SpecError, "there is no cluster at 'auto'"),
        (RuntimeError("Version mismatch: The cluster was started with: Ray: 2.40.0"), SpecError, "2.40.0"),
        (ObjectStoreFullError("Failed to put object"), StorageError, "object store of the cluster is full"),
        (ValueError("what nobody\nthought of"), PluginError, "ValueError: what nobody thought of"),
    ],
)
def test_errors_of_ray_are_explained(error, kind, words):
    found = cluster.explained(error, "auto")
    assert type(found) is kind
    assert words in str(found)


def module(**names):
    made = types.ModuleType("ray")
    for name, value in names.items():
        setattr(made, name, value)
    return made


def test_a_connection_that_is_there_is_kept_and_left(monkeypatch):
    ended = []
    ray = module(is_initialized=lambda: True, shutdown=lambda: ended.append(True))
    monkeypatch.setattr(cluster, "import_ray", lambda: ray)
    found = cluster.connect("auto", 1, {})
    assert (found.own, found.local) == (False, False)
    found.leave()
    assert ended == []


def test_a_local_cluster_has_a_cpu_for_every_worker_and_ends_with_the_search(monkeypatch):
    calls, ended = [], []
    ray = module(is_initialized=lambda: False, init=lambda **keys: calls.append(keys), shutdown=lambda: ended.append(1))
    monkeypatch.setattr(cluster, "import_ray", lambda: ray)
    found = cluster.connect(None, 4096, {"object_store_memory": 1e8}, logs=False)
    (given,) = calls
    assert (given["address"], given["num_cpus"], given["log_to_driver"]) == ("local", 4096, False)
    assert given["object_store_memory"] == 1e8
    assert found.local
    found.leave()
    assert ended == [1]


def test_versions_that_ray_refuses(monkeypatch):
    def init(**keys):
        raise RuntimeError("Version mismatch: the cluster has Python: 3.9.1, this process 3.12.0")

    monkeypatch.setattr(cluster, "import_ray", lambda: module(is_initialized=lambda: False, init=init))
    with pytest.raises(SpecError, match=r"Python: 3\.9\.1"):
        cluster.connect("auto", 1, {})


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="ray is needed"):
        cluster.connect(None, 1, {})


def test_only_the_living_machines_count():
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    found = cluster.Cluster(module(nodes=lambda: nodes), own=False, local=False)
    assert found.nodes() == [{"CPU": 2.0}]
