"""What every executor must keep to, with real processes that submitit starts on this machine."""

from __future__ import annotations

from nasplug_slurm import SlurmExecutor

from nasplug.testing.executor import ExecutorConformance


class TestSlurm(ExecutorConformance):
    patience = 240.0

    def make_executor(self):
        return SlurmExecutor(cluster="local")
