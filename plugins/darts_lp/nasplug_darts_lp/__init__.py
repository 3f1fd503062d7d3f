"""Low precision for nasplug: squeeze-and-threshold quantisation, and differentiable search of operations and bits."""
