"""Search spaces of this plugin, and the supernets over them."""
