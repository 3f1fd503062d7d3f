"""The search space of NAS-Bench-201, the topology space of NATS-Bench."""

from nasplug_tables.spaces.nasbench201.space import NASBench201

__all__ = ["NASBench201"]
