"""Costs of a network: counts, measured latency, and the candidate that cost plugins price."""
