"""A master calibration frame (bias, dark, flat, fringe) in memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..numerics.arrays import Float32Array, Int32Array

__all__ = ["CalibImage"]


@dataclass(frozen=True)
class CalibImage:
    """Pixels of a master calibration and where they came from."""

    image: Float32Array
    """Trimmed, assembled, detector frame (height, width)."""
    mask: Int32Array | None = None
    """Mask bits in our numbering, or None if the file has no mask."""
    variance: Float32Array | None = None
    name: str = ""
    """File name without directory."""
    sha256: str = ""
    """SHA-256 of the file, "" if unknown."""

    def __post_init__(self) -> None:
        for plane in (self.mask, self.variance):
            if plane is not None and plane.shape != self.image.shape:
                raise ValueError(f"plane of {self.name or 'a calibration'} is {plane.shape}, image {self.image.shape}")

    def rows(self, n_rows: int) -> CalibImage:
        """Return the first `n_rows` rows, for a cut-out; the arrays are views."""
        return CalibImage(
            self.image[:n_rows],
            None if self.mask is None else self.mask[:n_rows],
            None if self.variance is None else self.variance[:n_rows],
            self.name,
            self.sha256,
        )
