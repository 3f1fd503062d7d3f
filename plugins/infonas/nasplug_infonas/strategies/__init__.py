"""Searches on embeddings."""
