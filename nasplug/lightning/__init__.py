"""Plugins inside Lightning Trainers: those of a search, and a user's own."""
