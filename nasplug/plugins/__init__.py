"""Discovery of installed plugins, the catalogue of what they offer, and their composition for one study."""
