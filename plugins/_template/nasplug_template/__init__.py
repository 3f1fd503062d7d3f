"""Simulated annealing as a nasplug plugin."""
