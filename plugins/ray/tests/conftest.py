"""One cluster for the session: starting one takes half a minute, and a busy machine may not manage it."""

from __future__ import annotations

import os

import pytest
from nasplug_ray.cluster import import_ray

from nasplug.contract.errors import MissingExtraError

CPUS = 4


@pytest.fixture(scope="session")
def ray_cluster():
    """A cluster of two nodes on this machine, which this process is connected to."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_ray()
    except MissingExtraError as error:
        pytest.skip(str(error))
    from ray.cluster_utils import Cluster

    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS, "include_dashboard": False})
        cluster.add_node(num_cpus=CPUS)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="WARNING")
    except Exception as error:
        pytest.skip(f"a Ray cluster cannot start here: {type(error).__name__}: {error}")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
