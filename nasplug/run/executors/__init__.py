"""Where jobs run: in this process, or in worker processes that may die without taking the study along."""
