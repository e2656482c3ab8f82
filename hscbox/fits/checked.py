"""FITS files written with checksums and read with suspicion."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from ..errors import DamagedInputError, MissingInputError
from ..machine.files import atomic_path
from ..machine.mounts import missing_link_remedy

__all__ = ["open_checked", "write_hdus"]

_BLOCK = 2880


def write_hdus(path: Path | str, hdus: fits.HDUList) -> None:
    """Write `hdus` to `path` atomically, each with DATASUM and CHECKSUM cards.

    astropy puts the time of day into the comments of these cards; here they have fixed comments, so that
    equal content gives equal bytes.
    """
    for hdu in hdus:
        hdu.add_datasum(when="data unit checksum")
        hdu.add_checksum(when="HDU checksum", override_datasum=True)
    with atomic_path(path) as temporary:
        hdus.writeto(temporary, overwrite=True, checksum=False, output_verify="exception")


@contextmanager
def open_checked(path: Path | str) -> Iterator[fits.HDUList]:
    """Open a FITS file, refusing one that is truncated, padded wrongly or fails its checksums.

    Plain and gzipped files are read completely into memory. Any warning of astropy is an error here: it means
    that the file is not what it says it is.

    Raises
    ------
    MissingInputError
        The file does not exist or cannot be opened.
    DamagedInputError
        The file is not a whole, valid FITS file.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            compressed = stream.read(2) == b"\x1f\x8b"
        size = len(gzip.decompress(path.read_bytes())) if compressed else path.stat().st_size
    except FileNotFoundError as error:
        remedy = missing_link_remedy(path) or "Check the name"
        raise MissingInputError(f"No such file: {path}", remedy=remedy) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedInputError(f"{path} is a damaged gzip file: {error}", remedy="Fetch it again") from error
    except OSError as error:
        raise MissingInputError(f"Cannot open {path}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            with fits.open(path, memmap=False, lazy_load_hdus=False, checksum=True) as hdus:
                _check_size(path, hdus, size)
                yield hdus
    except (OSError, AstropyWarning, fits.VerifyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DamagedInputError(
            f"{path} is not a valid FITS file: {reason}", remedy="Fetch or make the file again"
        ) from error


def _check_size(path: Path, hdus: fits.HDUList, size: int) -> None:
    info = hdus[-1].fileinfo()
    end = info["datLoc"] + info["datSpan"]
    if end != size or size % _BLOCK:
        raise DamagedInputError(
            f"{path} has {size} bytes, its headers promise {end}",
            remedy="The file was truncated or extended: fetch it again",
            size=size,
            expected=end,
        )
