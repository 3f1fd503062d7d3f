"""Layers of the networks of the two search spaces, from the encoding alone. No torch."""
