"""ENAS-S: evolution of networks that are accurate and stable, over a library of blocks."""
