"""Trackers that show a study as one run with a nested run for each trial."""
