"""Modules that leave a network: what is called, what may take their place, and who must follow."""
