"""Characterisation of an exposure: background, PSF model, aperture corrections."""
