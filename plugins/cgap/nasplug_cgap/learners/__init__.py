"""Learners of class-incremental sequences behind one interface: every one is an evaluator."""
