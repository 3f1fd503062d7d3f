"""Evaluators: from a trial to its metrics."""
