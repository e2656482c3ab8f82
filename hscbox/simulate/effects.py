"""Switches of the generator: one per physical or instrumental effect."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..errors import UsageError

__all__ = ["Effects"]


@dataclass(frozen=True)
class Effects:
    """What the generator puts into a frame; each effect can be had alone.

    With every switch off a raw frame is the truth in ADU plus a flat pedestal, rounded to whole ADU.
    """

    photon_noise: bool = True
    """Poisson noise of sky, objects and dark current; otherwise the expected charge, fractions kept."""
    read_noise: bool = True
    """Normal noise of the camera table's width in every pixel of the raw array."""
    bias_structure: bool = True
    """Fixed pattern that survives the overscan: column pattern, glow near the register, line in the middle."""
    overscan_drift: bool = True
    """Slow drift of the pedestal along the readout, about 1 ADU, the same in imaging and overscan pixels."""
    dark: bool = True
    """Dark current of 3e-4 ADU/s and some hundred warm pixels."""
    amp_glow: bool = True
    """The glowing corner of CCD 33."""
    flat: bool = True
    """Vignetting, pixel response, edge roll-off and the steps between amplifiers of different gain."""
    jacobian: bool = False
    """Pixel area on the sky, in sky and flat alike; objects do not know it and come out dimmed by its share."""
    nonlinearity: bool = True
    """Raw level x of a linear level x (1 + c0 x)."""
    crosstalk: bool = True
    """Dark ghosts of bright pixels in the other amplifiers."""
    brighter_fatter: bool = True
    """Charge pushed away from bright pixels."""
    saturation: bool = True
    """Full well 2 % above the saturation level, with bleeding along columns."""
    cosmic_rays: bool = True
    """Tracks of muons, electrons and soft photons, 1.6 per second on a whole CCD."""
    defects: bool = True
    """Dead amplifiers, dead and hot columns, as listed for the date."""
    fringes: bool = True
    """Interference pattern of the sky in y and the red narrow bands."""
    sky_gradient: bool = True
    """Smooth variation of the sky by 1 % over the CCD."""
    distortion: bool = True
    """Optical distortion of the camera; otherwise 0.168 arcsec per pixel everywhere."""
    pointing_error: bool = True
    """Difference between the pointing in the header and the true one."""
    psf_variation: bool = True
    """Slow change of PSF size and ellipticity over the CCD; otherwise one round PSF."""

    @classmethod
    def only(cls, *names: str) -> Effects:
        """Return all switches off but `names`.

        Raises
        ------
        UsageError
            A name is not that of a switch.
        """
        return cls(**{field.name: False for field in fields(cls)} | _checked(names, True))

    def without(self, *names: str) -> Effects:
        """Return a copy with the switches `names` off.

        Raises
        ------
        UsageError
            A name is not that of a switch.
        """
        return replace(self, **_checked(names, False))


def _checked(names: tuple[str, ...], value: bool) -> dict[str, bool]:
    known = [field.name for field in fields(Effects)]
    for name in names:
        if name not in known:
            raise UsageError(f"Unknown effect '{name}'; known are {', '.join(known)}", remedy="Check the spelling")
    return dict.fromkeys(names, value)
