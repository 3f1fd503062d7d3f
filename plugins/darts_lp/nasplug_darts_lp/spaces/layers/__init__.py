"""Residual networks whose every block chooses operation, kernel size and bit widths."""
