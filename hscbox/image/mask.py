"""Mask planes: names, bit numbers and meanings, in one table."""

from __future__ import annotations

from ..errors import ConfigError

__all__ = ["MASK_PLANES", "MASK_PLANE_DOCS", "mask_bits"]

MASK_PLANE_DOCS: dict[str, str] = {
    "BAD": "bad pixel of the detector, or an amplifier without signal",
    "SAT": "saturated, bleed trails included",
    "INTRP": "value interpolated from the neighbours",
    "CR": "cosmic ray",
    "EDGE": "too near the border for smoothing and detection",
    "DETECTED": "in the footprint of a detected source",
    "DETECTED_NEGATIVE": "in a footprint of significantly negative pixels",
    "SUSPECT": "above the level to which linearity is trusted, or with a doubtful overscan",
    "NO_DATA": "no light reaches the pixel, or no data exist",
    "CROSSTALK": "touched by the crosstalk of a bright pixel of another amplifier",
    "NOT_DEBLENDED": "in a blend that was not taken apart",
    "UNMASKEDNAN": "not finite after the corrections although no other plane said so",
}
"""What each plane means, in the order of the bits."""

MASK_PLANES: dict[str, int] = {name: bit for bit, name in enumerate(MASK_PLANE_DOCS)}
"""Bit number of each plane; files may use other numbers, which readers translate by name."""


def mask_bits(*names: str) -> int:
    """Return the mask value that has the bits of the named planes.

    Raises
    ------
    ConfigError
        A plane is unknown.
    """
    value = 0
    for name in names:
        if name not in MASK_PLANES:
            raise ConfigError(f"Unknown mask plane {name!r}; known planes: {', '.join(MASK_PLANES)}", plane=name)
        value |= 1 << MASK_PLANES[name]
    return value
