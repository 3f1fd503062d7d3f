"""A configurable sparse neural processing unit: performance, energy and area models, as a nasplug plugin."""
