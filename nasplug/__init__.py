"""nasplug."""
