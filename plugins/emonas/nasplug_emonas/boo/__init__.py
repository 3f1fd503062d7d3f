"""Binary One Optimization: the number of one bits in the weights of a network."""
