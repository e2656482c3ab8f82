"""Thumbnails as PNG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ..machine.files import write_bytes
from ..numerics.arrays import ByteArray

__all__ = ["write_png"]


def write_png(path: Path | str, grey: ByteArray) -> None:
    """Write a PNG file atomically, 8-bit RGBA, with row 0 of `grey` (height, width) at the top.

    Raises
    ------
    OutputError, TemporaryError
        The file cannot be written.
    """
    rgba = np.empty((*grey.shape, 4), dtype=np.uint8)
    rgba[..., :3] = grey[..., None]
    rgba[..., 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(rgba, mode=None).save(buffer, format="PNG", compress_level=6)
    write_bytes(path, buffer.getvalue())
