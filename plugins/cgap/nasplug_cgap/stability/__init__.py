"""Stability of trained networks: what noise on the weights costs, and how rough the loss around them is."""
