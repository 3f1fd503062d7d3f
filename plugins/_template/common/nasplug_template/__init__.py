"""A plugin for nasplug."""
