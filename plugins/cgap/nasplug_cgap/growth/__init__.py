"""Continuous growth and pruning: a network starts small, grows where it learns most, and ends dense and small."""
