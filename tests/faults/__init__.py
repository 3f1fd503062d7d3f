"""What may go wrong, at random, counted: a short part in every test run, the long one with `benchmarks/faults.py`."""
