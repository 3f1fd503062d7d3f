"""Class-incremental sequences: which classes come when, the data of a stage, replay memory and metrics."""
