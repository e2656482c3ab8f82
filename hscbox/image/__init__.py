"""Exposures and what they are made of: mask planes, WCS, PSF, calibration, backgrounds, and their FITS form."""
