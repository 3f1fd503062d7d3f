"""Bits for every layer by how much they hurt a trained network, under an exact budget."""
