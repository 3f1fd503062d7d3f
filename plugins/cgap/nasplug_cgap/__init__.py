"""Plasticity and stability of networks: continual learning, acquisition and stable architectures, for nasplug."""
