"""arch2vec and info-NAS: embeddings of network graphs for prediction and search, as a nasplug plugin."""
