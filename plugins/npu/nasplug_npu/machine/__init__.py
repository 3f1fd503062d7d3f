"""The machine: hardware that computes whole layers, the compiler that drives it, and the simulations of it."""
