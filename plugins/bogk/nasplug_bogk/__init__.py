"""Bayesian optimisation of network architectures with graph kernels, as a nasplug plugin."""
