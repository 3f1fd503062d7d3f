"""A package of somebody whom the core has never heard of."""
