"""EMONAS: multi-objective evolution of accuracy and Binary One Optimization, as a nasplug plugin."""
