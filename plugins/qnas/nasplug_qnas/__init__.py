"""Q-NAS for nasplug."""
