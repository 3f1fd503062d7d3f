"""LightningModules as people write them, of many fields, each with the line that makes it run in a search."""
