"""The space `darts_lp.bits`: the bits of every layer of a network that somebody has."""
