"""What a network makes hardware do: a table with one row per layer, without weights and without torch."""

from nasplug.workloads.builder import WorkloadBuilder
from nasplug.workloads.workload import OPERATIONS, Workload

__all__ = ["OPERATIONS", "Workload", "WorkloadBuilder"]
