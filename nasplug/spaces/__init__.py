"""Search spaces: the protocols a space may fulfil, and a base class for spaces made of named choices."""
