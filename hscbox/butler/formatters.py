"""Which functions read and write each kind of file. They are imported when first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedInputError, MissingInputError, UsageError
from ..machine.files import sha256_file, write_bytes
from ..numerics.arrays import ByteArray
from .pickle_reader import dump_plain, load_pickle

__all__ = ["read_file", "read_fits_header", "write_file"]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedInputError(f"{path} is not a text file: {error}") from error


def _write_text(path: Path, text: str) -> None:
    write_bytes(path, str(text).encode())


def _write_pickle(path: Path, value: object) -> None:
    write_bytes(path, dump_plain(value))


def _read_png(path: Path) -> ByteArray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DamagedInputError(f"{path} is not a readable PNG image: {error}") from error


def _read_calib(path: Path) -> Any:
    """Read a master calibration together with the digest of its bytes; planes that say nothing are not kept."""
    from ..image.calib_image import CalibImage
    from ..products.masked_image import read_image

    image, mask, variance, _ = read_image(path)
    mask = mask if mask is not None and mask.any() else None
    variance = variance if variance is not None and variance.any() else None
    return CalibImage(image, mask, variance, path.name, sha256_file(path))


def _write_calib(path: Path, value: Any) -> None:
    from ..products.masked_image import write_masked_image

    write_masked_image(path, value.image, value.mask, value.variance, {})


_FORMATTERS: dict[str, tuple[str | Callable[[Path], Any], str | Callable[[Path, Any], None]]] = {
    "image": (_read_calib, _write_calib),
    "exposure": ("hscbox.products.exposure:read_exposure", "hscbox.products.exposure:write_exposure"),
    "backgrounds": ("hscbox.products.background:read_backgrounds", "hscbox.products.background:write_backgrounds"),
    "catalog": ("hscbox.products.catalog:read_catalog", "hscbox.products.catalog:write_catalog"),
    "matches": ("hscbox.products.matches:read_match_list", "hscbox.products.matches:write_match_list"),
    "boost": ("hscbox.products.boost:read_boost", "hscbox.products.boost:write_boost"),
    "png": (_read_png, "hscbox.products.thumbnail:write_png"),
    "pickle": (load_pickle, _write_pickle),
    "text": (_read_text, _write_text),
}
"""Functions `read(path)` and `write(path, value)`, given directly or as `module:function`."""


def _function(name: str | Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(name, str):
        return name
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def read_file(storage: str, path: Path) -> Any:
    """Read a file of the given kind.

    Raises
    ------
    InputError
        The file is missing or damaged.
    """
    try:
        return _function(_FORMATTERS[storage][0])(path)
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error


def write_file(storage: str, path: Path, value: object) -> None:
    """Write a file of the given kind atomically.

    Raises
    ------
    UsageError
        Files of this kind are inputs and never written.
    OutputError, TemporaryError
        The file cannot be written.
    """
    if storage not in _FORMATTERS:
        raise UsageError(f"Datasets of kind '{storage}' cannot be written; raws come in with hscbox ingest-images")
    _function(_FORMATTERS[storage][1])(path, value)


def read_fits_header(path: Path, hdu: int) -> dict[str, object]:
    """Return the cards of one HDU as a dictionary; of repeated keywords the first counts."""
    from ..fits.read import read_units

    units = read_units(path)
    if hdu >= len(units):
        raise DamagedInputError(f"{path} has {len(units)} HDUs; number {hdu} is needed")
    return {key: value for key, value in units[hdu].header.items() if key}
