"""Parts of networks that several packages build from, in plain torch; needs the extra `train`."""
