"""Networks of the two search spaces, in torch."""
