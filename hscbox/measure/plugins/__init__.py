"""All measurement plugins; importing this package enters them into the registry."""

from __future__ import annotations

from . import (
    circular_aperture_flux,
    convolved_flux,
    fp_position,
    gaussian_flux,
    jacobian,
    kron_flux,
    naive_centroid,
    pixel_flags,
    psf_flux,
    sdss_centroid,
    sdss_shape,
    sky_coord,
    variance,
)

REGISTERED = (
    "base_CircularApertureFlux",
    "base_FPPosition",
    "base_GaussianFlux",
    "base_Jacobian",
    "base_NaiveCentroid",
    "base_PixelFlags",
    "base_PsfFlux",
    "base_SdssCentroid",
    "base_SdssShape",
    "base_SkyCoord",
    "base_Variance",
    "ext_convolved_ConvolvedFlux",
    "ext_photometryKron_KronFlux",
)
"""Names of all plugins."""

__all__ = [
    "REGISTERED",
    "circular_aperture_flux",
    "convolved_flux",
    "fp_position",
    "gaussian_flux",
    "jacobian",
    "kron_flux",
    "naive_centroid",
    "pixel_flags",
    "psf_flux",
    "sdss_centroid",
    "sdss_shape",
    "sky_coord",
    "variance",
]
