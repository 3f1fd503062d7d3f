"""Search spaces of this plugin: the settings of each, its networks, supernet, cost and workload."""
