"""Imported by the server that workers are forked from; see `nasplug.run.processes`."""

from nasplug.run.processes import preload

preload()
