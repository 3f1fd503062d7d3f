"""Running a search: specification, composition, driver loop, workers and executors."""
