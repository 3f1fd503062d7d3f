"""Workloads in the files of other performance models."""
