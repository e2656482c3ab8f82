"""Exposures and what they are made of: pixels, masks, WCS, PSF, calibration, background. No file is opened here."""
