"""Exposures as FITS files, in the layout of the LSST stack of 2017, and master calibrations.

Layout: lsst/afw e0459d59 (src/image/ExposureInfo.cc, MaskedImage.cc). Read back are also the exposures that afw
writes today (afw 714e0ed6d): there the zero point is in the archive, and the image may start elsewhere than at
(0, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..camera.camera import load_camera
from ..camera.filters import canonical_name
from ..errors import DamagedInputError, InputError
from ..fits.archive import ArchiveReader, ArchiveWriter
from ..fits.cards import card, metadata_cards
from ..fits.read import ReadUnit, naming, read_units
from ..fits.write import primary_unit, write_units
from ..image.exposure import Exposure
from ..image.photo_calib import PhotoCalib
from ..image.sky_wcs import SkyWcs
from .archive_components import add_ap_corr, add_polygon, load_ap_corr, load_filter, load_photo_calib, load_polygon
from .archive_psf import add_psf, load_psf
from .masked_image import STRUCTURAL
from .planes import mask_from_file, origin_from_header, plane_unit
from .visit_info import VISIT_INFO_KEYS, visit_info_cards, visit_info_from_cards

if TYPE_CHECKING:
    from ..camera.detector import Detector

__all__ = ["read_exposure", "write_exposure"]

_IDS = {"AP_CORR_MAP": "AP_CORR_MAP_ID", "PSF": "PSF_ID", "VALID_POLYGON": "VALID_POLYGON_ID"}
_ARCHIVE_KEYS = (
    "AR_HDU WCS_ID SKYWCS_ID PHOTOCALIB_ID DETECTOR_ID FILTER_ID COADD_INPUTS_ID EXPINFO_V "
    "AP_CORR_MAP_ID PSF_ID VALID_POLYGON_ID"
)
# Cards of raw frames that the exposure says in its own words; left in the header they would contradict them.
_CONSUMED = (
    "EXPTIME MJD-STR RA2000 DEC2000 AZIMUTH ALTITUDE AIRMASS OUT-TMP OUT-PRS OUT-HUM LST-STR INST-PA "
    "DATASEC BIASSEC TRIMSEC GAIN BSCALE BZERO BLANK BUNIT"
)
_WCS = (
    "WCSAXES RADESYS RADECSYS EQUINOX LONPOLE LATPOLE LONGPOLE WCS-ORIG CTYPE1 CTYPE2 CRPIX1 CRPIX2 "
    "CRVAL1 CRVAL2 CUNIT1 CUNIT2 CD1_1 CD1_2 CD2_1 CD2_2 CDELT1 CDELT2 CROTA1 CROTA2 "
    "PC1_1 PC1_2 PC2_1 PC2_2 PC001001 PC001002 PC002001 PC002002"
)
_OWN = frozenset(f"{_ARCHIVE_KEYS} {_CONSUMED} {_WCS} FILTER DETNAME DETSER FLUXMAG0 FLUXMAG0ERR".split()) | frozenset(
    VISIT_INFO_KEYS
)


def write_exposure(path: Path | str, exposure: Exposure) -> None:
    """Write an exposure atomically: header, image, mask, variance, archive; equal exposures give equal bytes.

    Components that are None are left out.

    Raises
    ------
    OutputError, TemporaryError
        The file cannot be written.
    """
    archive = ArchiveWriter()
    ids: dict[str, int] = {}
    if exposure.ap_corr is not None:
        ids["AP_CORR_MAP_ID"] = add_ap_corr(archive, exposure.ap_corr)
    if exposure.psf is not None:
        ids["PSF_ID"] = add_psf(archive, exposure.psf)
    if exposure.valid_polygon is not None:
        ids["VALID_POLYGON_ID"] = add_polygon(archive, exposure.valid_polygon)
    wcs_cards = [] if exposure.wcs is None else [card(key, value) for key, value in exposure.wcs.to_cards()]
    write_units(
        path,
        [
            primary_unit(_primary_cards(exposure, ids)),
            plane_unit("IMAGE", exposure.image, wcs_cards),
            plane_unit("MASK", exposure.mask, wcs_cards),
            plane_unit("VARIANCE", exposure.variance, wcs_cards),
            *(archive.units() if ids else ()),
        ],
    )


def read_exposure(path: Path | str) -> Exposure:
    """Read an exposure with all components that the file has.

    An image whose first pixel has parent coordinates other than (0, 0) is read as if it had those: all
    components are moved with it.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    DamagedInputError
        It is no whole exposure.
    """
    with naming(path):
        return _interpret(path, read_units(path))


def _interpret(path: Path | str, units: list[ReadUnit]) -> Exposure:
    start = next((k for k, unit in enumerate(units) if unit.is_image), None)
    if start is None:
        raise DamagedInputError(f"{path} has no image")
    image = units[start].array().astype(np.float32, copy=False)
    mask, variance = np.zeros(image.shape, np.int32), np.zeros(image.shape, np.float32)
    if len(units) > start + 1 and units[start + 1].is_image:
        mask = mask_from_file(_plane(units, start + 1, image.shape), units[start + 1].header)
    if len(units) > start + 2 and units[start + 2].is_image:
        variance = _plane(units, start + 2, image.shape).astype(np.float32, copy=False)
    # Cards of the primary header hold for the image too (INHERIT).
    cards = {**units[0].header, **units[start].header}
    detector = _detector(cards, image.shape)
    exposure = Exposure(
        image,
        mask,
        variance,
        wcs=SkyWcs.from_header(cards),
        photo_calib=_photo_calib(cards),
        visit_info=visit_info_from_cards(cards),
        filter_name=_filter_name(cards.get("FILTER")),
        detector=detector,
        metadata=units[0].metadata(_is_ours),
    )
    if "AR_HDU" in cards:
        _load_archive(exposure, units, cards)
    return exposure


def _primary_cards(exposure: Exposure, ids: Mapping[str, int]) -> list[str]:
    cards = metadata_cards(exposure.metadata.without(_is_ours))
    if ids:
        cards.append(card("AR_HDU", 5, "HDU (1-indexed) containing the archive"))
    cards += [card(key, value, "archive ID") for key, value in ids.items()]
    if exposure.filter_name is not None:
        cards.append(card("FILTER", exposure.filter_name))
    if exposure.detector is not None:
        cards.append(card("DETNAME", exposure.detector.name))
        cards.append(card("DETSER", exposure.detector.serial))
    if exposure.visit_info is not None:
        cards += visit_info_cards(exposure.visit_info)
    if exposure.photo_calib is not None:
        cards.append(card("FLUXMAG0", exposure.photo_calib.flux_mag0, "counts of magnitude 0"))
        cards.append(card("FLUXMAG0ERR", exposure.photo_calib.flux_mag0_err))
    return cards


def _is_structural(key: str) -> bool:
    return key in STRUCTURAL or key.startswith("ARCHIVE_ID_")


def _is_ours(key: str) -> bool:
    """Whether a card describes the file, or what the exposure says in its own words."""
    return key in _OWN or _is_structural(key)


def _plane(units: list[ReadUnit], number: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    plane = units[number].array()
    if plane.shape != shape:
        raise DamagedInputError(
            f"{units[number].path}: plane in HDU {number} has {plane.shape[1]} x {plane.shape[0]} pixels, "
            f"the image {shape[1]} x {shape[0]}"
        )
    return plane


def _detector(cards: Mapping[str, Any], shape: tuple[int, ...]) -> Detector | None:
    serial = str(cards.get("DETSER", "")).strip()
    if not serial.isdigit() or int(serial) not in set(load_camera()):
        return None
    detector = load_camera()[int(serial)]
    if shape[1] != detector.width or shape[0] > detector.height:
        return None
    return detector if shape[0] == detector.height else detector.for_rows(shape[0])


def _photo_calib(cards: Mapping[str, Any]) -> PhotoCalib | None:
    flux, error = cards.get("FLUXMAG0"), cards.get("FLUXMAG0ERR", 0.0)
    if cards.get("EXPINFO_V", 0) or not isinstance(flux, int | float) or flux <= 0:
        return None
    return PhotoCalib(float(flux), float(error))


def _filter_name(value: object) -> str | None:
    name = "" if value is None else str(value).strip()
    if name in ("", "_unknown_"):
        return None
    if not name.startswith("HSC-"):
        return name
    try:
        return canonical_name(name)
    except InputError:
        return name


def _load_archive(exposure: Exposure, units: list[ReadUnit], cards: Mapping[str, Any]) -> None:
    number = cards["AR_HDU"]
    if not isinstance(number, int) or not 1 <= number <= len(units):
        raise DamagedInputError(f"{units[0].path}: AR_HDU = {number!r}, but the file has {len(units)} HDUs")
    archive = ArchiveReader(units[number - 1 :])

    def stored(component: str, old: str) -> int:
        value = cards.get(f"ARCHIVE_ID_{component}", cards.get(old, 0))
        return value if isinstance(value, int) else 0

    x0, y0 = origin_from_header(units[1].header if len(units) > 1 else units[0].header)
    if number := stored("PSF", _IDS["PSF"]):
        exposure.psf = load_psf(archive, number).shifted(-x0, -y0)
    if number := stored("AP_CORR_MAP", _IDS["AP_CORR_MAP"]):
        fields = load_ap_corr(archive, number)
        exposure.ap_corr = {name: field.shifted(-x0, -y0) for name, field in fields.items()}
    if number := stored("VALID_POLYGON", _IDS["VALID_POLYGON"]):
        exposure.valid_polygon = load_polygon(archive, number) - np.array([x0, y0])
    if cards.get("EXPINFO_V", 0) and (number := stored("PHOTOCALIB", "PHOTOCALIB_ID")):
        exposure.photo_calib = load_photo_calib(archive, number)
    if exposure.filter_name is None and (number := stored("FILTER", "")):
        exposure.filter_name = _filter_name(load_filter(archive, number))
