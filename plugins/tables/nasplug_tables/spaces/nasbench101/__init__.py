"""The search space of NAS-Bench-101."""

from nasplug_tables.spaces.nasbench101.space import NASBench101

__all__ = ["NASBench101"]
