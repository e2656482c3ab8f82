"""What happens to charge between silicon and file, as pure functions on arrays.

Each function is the exact inverse, or the fixed point, of the correction that the reduction applies; the order is
that of `frame.expose`.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, find_objects, label
from scipy.signal import oaconvolve

from ..camera.detector import Detector
from ..numerics.arrays import FloatArray

__all__ = ["add_crosstalk", "bleed", "brighter_fatter_change", "displaced", "invert_linearity"]


_ROUNDS = 4


def brighter_fatter_change(electrons: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return the charge that the brighter-fatter effect removes from each pixel.

    The divergence of 0.5 I grad q with q = kernel (*) I, as fluxes through the faces between pixels, so that charge
    is conserved; zero within half a kernel plus one pixel of the border. The correction iterates
    I = observed + change(I), so observed = I - change(I) is undone exactly where it converges. Coulton et al. 2018,
    AJ 155, 258.
    """
    half = kernel.shape[0] // 2
    change = np.zeros_like(electrons)
    if min(electrons.shape) < 2 * half + 3:
        return change
    # Defined where the kernel fits; its neighbours are needed on each side.
    q = oaconvolve(electrons, kernel, mode="valid")
    image = electrons[half:-half, half:-half]
    flux_x = 0.25 * (image[:, 1:] + image[:, :-1]) * np.diff(q, axis=1)
    flux_y = 0.25 * (image[1:] + image[:-1]) * np.diff(q, axis=0)
    inside = change[half + 1 : -half - 1, half + 1 : -half - 1]
    inside += np.diff(flux_x, axis=1)[1:-1]
    inside += np.diff(flux_y, axis=0)[:, 1:-1]
    return change


def displaced(electrons: FloatArray, kernel: FloatArray, full_well: FloatArray | None) -> FloatArray:
    """Return the charge after the brighter-fatter effect, before it runs over (`bleed`).

    Charge that runs over does not stay to repel other charge: what acts is the charge that is left in the end where
    it runs (`full_well` per column), and the arriving charge elsewhere. The one depends on the other a little at the
    ends of trails; a few rounds find it.
    """
    if full_well is None:
        return electrons - brighter_fatter_change(electrons, kernel)
    acting = bleed(electrons, full_well)
    change = brighter_fatter_change(acting, kernel)
    running = np.flatnonzero((np.maximum(electrons, electrons - change) > full_well).any(axis=0))
    arriving = electrons[:, running]
    boxes: list[tuple[slice, slice]] = []
    for _ in range(_ROUNDS):
        shifted = arriving - change[:, running]
        left = bleed(shifted, full_well[running])
        now = np.where(left != shifted, left, arriving)
        if not boxes:
            # What moved, and what may yet move beside it.
            moved = np.zeros(electrons.shape, dtype=bool)
            moved[:, running] = now != acting[:, running]
            boxes = find_objects(label(binary_dilation(moved, iterations=3))[0])
        acting[:, running] = now
        _update_change(change, acting, boxes, kernel)
    return electrons - change


def _update_change(
    change: FloatArray, acting: FloatArray, boxes: list[tuple[slice, slice]], kernel: FloatArray
) -> None:
    """Evaluate the change anew, in place, as far as the kernel reaches from the boxes."""
    reach = kernel.shape[0] // 2 + 1
    for box in boxes:
        # Each window is evaluated where it has the reach on all sides; nothing is defined closer to the border.
        inner = [
            (max(part.start - reach, reach), min(part.stop + reach, n - reach))
            for part, n in zip(box, change.shape, strict=True)
        ]
        if all(stop > start for start, stop in inner):
            outer = tuple(slice(start - reach, stop + reach) for start, stop in inner)
            window = brighter_fatter_change(acting[outer], kernel)
            change[tuple(slice(*ends) for ends in inner)] = window[reach:-reach, reach:-reach]


def bleed(electrons: FloatArray, full_well: FloatArray) -> FloatArray:
    """Return the charge after what exceeds the full well has run along its column, half up and half down.

    `full_well` is one number per column. Charge that reaches the end of a column is lost.
    """
    result = electrons.copy()
    columns = np.flatnonzero((electrons > full_well).any(axis=0))
    result[:, columns] = _bleed_columns(electrons[:, columns], full_well[columns])
    return result


def _bleed_columns(charge: FloatArray, full_well: FloatArray) -> FloatArray:
    result = np.minimum(charge, full_well)
    half = 0.5 * np.maximum(charge - full_well, 0.0)
    starts = set(np.flatnonzero(half.any(axis=1)).tolist())
    for rows in (range(len(charge)), range(len(charge) - 1, -1, -1)):
        carried = np.zeros(charge.shape[1])
        is_carrying = False
        for row in rows:
            if not (is_carrying or row in starts):
                continue
            moved = np.minimum(carried, full_well - result[row])
            result[row] += moved
            carried += half[row] - moved
            is_carrying = bool(carried.any())
    return result


def add_crosstalk(image: FloatArray, detector: Detector, matrix: FloatArray) -> FloatArray:
    """Return `image` (linear ADU, trimmed) with the ghosts of each amplifier in the others.

    victim += coefficient[source, victim] * (source - median); the source is mirrored in x when the amplifiers are
    read out towards opposite sides, so that simultaneous pixels meet.
    """
    result = image.copy()
    level = float(np.median(image))
    for victim in detector.amplifiers:
        for source in detector.amplifiers:
            if source.index == victim.index:
                continue
            strip = image[source.trimmed.slices]
            if (source.index + victim.index) % 2:
                strip = strip[:, ::-1]
            result[victim.trimmed.slices] += matrix[source.index, victim.index] * (strip - level)
    return result


def invert_linearity(linear: FloatArray, c0: float) -> FloatArray:
    """Return the x for which x (1 + c0 x) equals `linear`."""
    if c0 == 0.0:
        return linear
    # The stable form of the quadratic formula: no cancellation for small c0.
    return 2.0 * linear / (1.0 + np.sqrt(1.0 + 4.0 * c0 * linear))
