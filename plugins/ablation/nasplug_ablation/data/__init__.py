"""Features and augmentations that leave the data of a trial."""
