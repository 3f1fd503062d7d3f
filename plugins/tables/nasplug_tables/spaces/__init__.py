"""The search spaces of the benchmarks."""
