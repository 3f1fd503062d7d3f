"""The networks of arch2vec and info-NAS: plain torch modules, and the Lightning modules that train them."""
