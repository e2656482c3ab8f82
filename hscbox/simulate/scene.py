"""The definition of one synthetic frame.

Units of the truth
------------------
The truth image is in **calibrated ADU**: what an ideal reduction holds after the division by the flat, before any
background is subtracted. A source of magnitude m adds flux_adu = 10**(0.4 (zero_point - m)) to it, summed over all
of its pixels to infinity; the master flat's mean over the focal plane is 1, so calibrated ADU at a place where the
flat is 1 are raw ADU. Charge in a pixel of amplifier a = calibrated ADU x flat x gain[a]. `zero_point` is the
magnitude of 1 calibrated ADU in the whole exposure (not per second).

Pixels are numbered as in the trimmed detector frame: [y, x], (0, 0) the centre of the first.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..camera.camera import load_camera
from ..camera.detector import Detector
from ..camera.filters import canonical_name
from ..camera.geometry import CCD_HEIGHT
from ..errors import MissingInputError, UsageError
from ..machine.revision import __version__
from .effects import Effects

__all__ = ["FRINGE_FILTERS", "Scene", "read_scenes"]

FRINGE_FILTERS = frozenset({"y", "N921", "N926", "N973", "N1010"})
"""Canonical names of the filters in which the sky shows fringes."""

# Magnitude of 1 ADU/s and sky in ADU/s per pixel. lsst/obs_subaru @ d4a8abe0: config/fiducialZeroPoint.py,
# fiducialSkyBackground.py; in r the values found for visit 40984 CCD 55 by the 2017 software
# (nicolaschotard/lsst_drp_analysis @ 27968249: stack/stack_output_example.txt).
_BANDS = {
    "g": (27.05, 2.84),
    "r": (27.1295, 6.237),
    "i": (26.94, 13.03),
    "z": (26.07, 11.44),
    "y": (25.63, 22.07),
    "r2": (27.1295, 6.237),
    "i2": (26.94, 13.03),
    "N387": (22.24, 0.07),
    "N816": (23.94, 0.50),
    "N921": (24.09, 1.01),
}


@dataclass(frozen=True)
class Scene:
    """One synthetic frame: what the telescope looks at, with which CCD, and what goes wrong.

    The defaults are visit 40984, CCD 55 of the reference run: HSC-R, 300 s, field SSP_UDEEP_SXDS, 2015-10-10.
    """

    visit: int = 40984
    ccd: int = 55
    filter: str = "HSC-R"
    seed: int = 1
    """Number of the synthetic sky and camera: the same seed gives the same stars to every visit."""
    field: str = "SSP_UDEEP_SXDS"
    date: str = "2015-10-10"
    start_ut: str = "11:42:10.400"
    exposure_time: float = 300.0
    """Seconds."""
    boresight_ra: float = 34.5416666667
    """Degrees, as in the header (02:18:10): centres CCD 55 near RA 35.044, Dec -4.759."""
    boresight_dec: float = -4.8566666667
    inst_pa: float = 0.0
    """Position angle of the camera (header INST-PA), degrees."""
    pointing_error: tuple[float, float] = (3.2, -2.4)
    """True minus header pointing, arcseconds East and North."""
    seeing: float = 0.52
    """FWHM at the centre of the CCD, arcseconds; 0.52 gives a PSF of 1.305 pixels by adaptive moments."""
    psf_ellipticity: tuple[float, float] = (0.0, 0.0)
    """Distortion e1, e2 of the PSF everywhere, before the pixels, beside what changes over the CCD."""
    zero_point: float | None = None
    """Magnitude of 1 ADU in the exposure; None: typical of the filter."""
    sky_level: float | None = None
    """Mean sky in calibrated ADU; None: typical of the filter."""
    star_density: float = 1.6
    """Stars relative to the general-knowledge counts at galactic latitude 60 degrees."""
    galaxy_density: float = 1.0
    faint_limit: float = 28.4
    """r magnitude of the faintest objects drawn."""
    rows: int = CCD_HEIGHT
    """Exposed rows; fewer than all make a cut-out raw."""
    proposal: str = "o15426"
    effects: Effects = dataclass_field(default_factory=Effects)

    def __post_init__(self) -> None:
        if self.ccd not in load_camera():
            raise UsageError(f"There is no CCD {self.ccd}; allowed are 0 to 111", remedy="Choose another --ccd")
        if not 64 <= self.rows <= CCD_HEIGHT:
            raise UsageError(
                f"A frame cannot have {self.rows} rows; allowed are 64 to {CCD_HEIGHT}", remedy="Change --rows"
            )
        if not 0 <= self.visit < 10_000_000 or self.visit % 2:
            raise UsageError(
                f"Visit {self.visit} is impossible: visits are even, 0 to 9999998", remedy="Change --visit"
            )
        try:
            datetime.fromisoformat(f"{self.date}T{self.start_ut}")
        except ValueError as error:
            raise UsageError(
                f"{self.date} {self.start_ut} is no date and time", remedy="Write YYYY-MM-DD and hh:mm:ss.sss"
            ) from error
        if not 0.3 <= self.seeing <= 3.0:
            raise UsageError(f"Seeing of {self.seeing} arcsec; allowed are 0.3 to 3", remedy="Change --seeing")
        if not math.hypot(*self.psf_ellipticity) <= 0.5:
            raise UsageError(
                f"PSF ellipticity of {self.psf_ellipticity}; allowed is up to 0.5", remedy="Change psf_ellipticity"
            )
        if not self.exposure_time > 0:
            raise UsageError(f"The exposure time {self.exposure_time} s is not above 0", remedy="Change --exptime")
        if self.canonical_filter not in _BANDS and (self.zero_point is None or self.sky_level is None):
            raise UsageError(
                f"No typical zero point and sky are known for {self.filter}", remedy="Give zero_point and sky_level"
            )

    @cached_property
    def canonical_filter(self) -> str:
        """The short name of the filter ("r")."""
        return canonical_name(self.filter)

    @cached_property
    def detector(self) -> Detector:
        """The CCD, cut to the rows of the scene."""
        return load_camera()[self.ccd].for_rows(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the trimmed image."""
        return self.rows, self.detector.width

    @property
    def true_zero_point(self) -> float:
        """Magnitude of 1 calibrated ADU in the whole exposure."""
        if self.zero_point is not None:
            return self.zero_point
        return _BANDS[self.canonical_filter][0] + 2.5 * math.log10(self.exposure_time)

    @property
    def true_sky_level(self) -> float:
        """Mean sky in calibrated ADU."""
        if self.sky_level is not None:
            return self.sky_level
        return _BANDS[self.canonical_filter][1] * self.exposure_time

    @property
    def true_boresight(self) -> tuple[float, float]:
        """Right ascension and declination in degrees where the telescope really points."""
        if not self.effects.pointing_error:
            return self.boresight_ra, self.boresight_dec
        east, north = self.pointing_error
        dec = self.boresight_dec + north / 3600.0
        return (self.boresight_ra + east / 3600.0 / math.cos(math.radians(dec))) % 360.0, dec

    @property
    def has_fringes(self) -> bool:
        """Whether the sky shows fringes."""
        return self.effects.fringes and self.canonical_filter in FRINGE_FILTERS

    def rng(self, purpose: str, *, fixed: bool = False) -> np.random.Generator:
        """Return the generator of random numbers for one purpose.

        `fixed` is for what belongs to the CCD, not to the exposure: the same at every visit.
        """
        visit = 0 if fixed else self.visit
        words = [self.seed, visit, self.ccd, zlib.crc32(purpose.encode())]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def with_effects(self, effects: Effects) -> Scene:
        """Return the same scene with other switches."""
        return replace(self, effects=effects)

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scene:
        """Build a scene from `to_dict` or from a hand-written file; what is left out keeps its default.

        Raises
        ------
        UsageError
            A key is unknown or a value is impossible.
        """
        known = {item.name for item in fields(cls)}
        effects = dict(values.get("effects", {}))
        unknown = sorted(set(values) - known) + sorted(set(effects) - {item.name for item in fields(Effects)})
        if unknown:
            raise UsageError(f"Unknown scene key {', '.join(unknown)}", remedy="See `hscbox simulate --help`")
        plain = {key: value for key, value in values.items() if key != "effects"}
        for pair in ("pointing_error", "psf_ellipticity"):
            if pair in plain:
                plain[pair] = tuple(plain[pair])
        return cls(**plain, effects=Effects(**effects))

    @property
    def digest(self) -> str:
        """SHA-256 of definition and program version: equal digests mean equal files."""
        return hashlib.sha256(json.dumps([__version__, self.to_dict()], sort_keys=True).encode()).hexdigest()


def read_scenes(path: Path | str) -> list[Scene]:
    """Read a JSON file that holds one scene, or a list of them; see `Scene.from_dict`.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    UsageError
        It is not JSON or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}", remedy="Check the name") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", remedy="Correct the file") from error
    items = content if isinstance(content, list) else [content]
    if not all(isinstance(item, dict) for item in items):
        raise UsageError(f"{path} holds something else than scenes", remedy="Write an object or a list of objects")
    return [Scene.from_dict(item) for item in items]
