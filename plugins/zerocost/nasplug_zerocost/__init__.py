"""Zero-cost proxies: what an untrained network says about itself."""
