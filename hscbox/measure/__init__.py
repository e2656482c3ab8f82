"""Measurement of sources: plugins, one file each, and the loop that runs them."""
