"""Astrometric and photometric calibration against a reference catalogue."""
