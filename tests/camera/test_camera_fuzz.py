"""Whatever a header holds, the answer is a record with safe path parts or an error meant for users."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits

from hscbox.camera.translate import translate_header
from hscbox.camera.visit_info import visit_info_from_header
from hscbox.errors import HscboxError
from hscbox.fits.header_reader import read_primary_header


def test_mutated_headers(tmp_path: Path, fits_header: Callable[[str], fits.Header]) -> None:
    rng = np.random.Generator(np.random.PCG64(20150101))
    header = fits_header("model")
    header["NAXIS2"] = 66
    original = header.tostring().encode()
    size = len(original) + -(-2 * 2144 * 66 // 2880) * 2880
    path = tmp_path / "raw.fits"
    read = 0
    for round_ in range(300):
        data = np.frombuffer(original, dtype=np.uint8).copy()
        # Sizes and END stay whole, or hardly any header would get past the reader.
        where = rng.integers(800, original.index(b"END" + 77 * b" "), 200)
        data[where] = rng.integers(32, 127, 200) if round_ % 2 else rng.integers(0, 256, 200)
        with path.open("wb") as stream:
            stream.write(data.tobytes())
            stream.truncate(size)
        with contextlib.suppress(HscboxError):
            fields = read_primary_header(path)
            read += 1
            with contextlib.suppress(HscboxError):
                visit_info_from_header(fields)
            record = translate_header(fields, path)
            for part in (record.field, record.filter, record.dateObs, f"{record.pointing:05d}"):
                assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*", part)
    assert read == 300
