"""A search for somebody who has data and nothing else: what the data are, and what is tried on them."""
