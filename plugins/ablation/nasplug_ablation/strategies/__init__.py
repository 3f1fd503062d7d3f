"""Which variants a study trains, and in which order."""
