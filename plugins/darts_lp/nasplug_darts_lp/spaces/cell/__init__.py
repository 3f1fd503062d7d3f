"""The cells of DARTS, in floating point or with bit widths for every operation."""
