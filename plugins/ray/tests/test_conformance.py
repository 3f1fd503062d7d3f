"""What every executor must keep to, on a cluster."""

from __future__ import annotations

import pytest
from nasplug_ray import RayExecutor

from nasplug.testing.executor import ExecutorConformance


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
class TestRay(ExecutorConformance):
    patience = 240.0

    def make_executor(self):
        return RayExecutor()
