"""Every Optuna sampler as a nasplug strategy, and nasplug studies for Optuna's dashboard."""
