"""Quantised layers, and what puts them into networks and leads them through a training."""
