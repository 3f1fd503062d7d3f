"""The strategies, costs and targets that come with the core, written as ordinary plugins."""
