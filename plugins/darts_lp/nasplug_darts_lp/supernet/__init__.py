"""Differentiable search: mixed operations, supernets, and their training."""
