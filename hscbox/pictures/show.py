"""A picture of one CCD: from a repository and a data id to the bytes of a PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..camera.boxes import Box
from ..catalog.source_catalog import SourceCatalog
from ..errors import UsageError
from ..image.mask import mask_bits
from ..image.sky_wcs import SkyWcs
from ..numerics.arrays import FloatArray, Int32Array
from ..numerics.constants import SIGMA_PER_IQR
from ..numerics.statistics import quantiles
from .compare import Comparison, compare, step_named
from .frames import DATASETS, default_dataset, get_or_say, only_exposure, read_frame
from .overlay import PLANE_COLOURS, chosen_planes
from .picture import draw, zoom_of
from .sheet import LegendEntry, Mark, Panel, Sheet
from .sources import source_legend, source_marks

__all__ = ["Picture", "Request", "parse_region", "show"]


@dataclass(frozen=True)
class Request:
    """What should be drawn; None leaves the choice to the program."""

    dataset: str | None = None
    compare: str | None = None
    mask: str | None = None
    sources: bool | None = None
    region: str | None = None


@dataclass(frozen=True)
class Picture:
    """A finished picture."""

    png: bytes
    name: str
    """File name without directory."""
    notes: tuple[str, ...]
    """What the numbers say, for the terminal."""


def show(repository: Path, data_id: DataId, request: Request) -> Picture:
    """Draw one CCD of a repository.

    Raises
    ------
    UsageError
        The data id stands for several exposures; an unknown dataset, step, mask plane, or a region outside.
    InputError
        Something is missing or damaged; the message says how to make it.
    DataError
        The pixels defeat the step to be compared.
    """
    planes = chosen_planes(request.mask, cut_out=request.region is not None)
    step = None if request.compare is None else step_named(request.compare)
    if step is not None and request.dataset is not None:
        raise UsageError(
            "--dataset and --compare exclude each other", remedy="A comparison makes the images that it needs"
        )
    if request.region is not None:
        _four_numbers(request.region)  # before seconds are spent on pixels
    butler = Butler(inputs=repository, quiet=True)
    found = only_exposure(butler, data_id)
    if step is not None:
        return _comparison(butler, found, compare(butler, step, found), planes, request)
    return _single(butler, found, request.dataset or default_dataset(butler, found), planes, request)


def parse_region(text: str | None, width: int, height: int) -> Box:
    """Return the box of `x0,y0,width,height`, or that of the whole frame for None.

    Raises
    ------
    UsageError
        It is not four whole numbers, or not inside the frame.
    """
    if text is None:
        return Box(0, 0, width, height)
    x0, y0, columns, rows = _four_numbers(text)
    if min(x0, y0) < 0 or min(columns, rows) < 1 or x0 + columns > width or y0 + rows > height:
        raise UsageError(
            f"Region {text} is not inside the frame of {width} x {height} pixels",
            remedy=f"x0 + width may be up to {width}, y0 + height up to {height}",
        )
    return Box(x0, y0, columns, rows)


def _four_numbers(text: str) -> tuple[int, int, int, int]:
    try:
        x0, y0, columns, rows = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"Bad region '{text}'; it must be x0,y0,width,height", remedy="Example: --region 900,1200,300,200"
        ) from None
    return x0, y0, columns, rows


def _single(butler: Butler, data_id: DataId, dataset: str, planes: Sequence[str], request: Request) -> Picture:
    frame = read_frame(butler, dataset, data_id)
    if frame.mask is None:
        if request.mask is not None and planes:
            raise UsageError(f"This {dataset} has no mask to draw", remedy="Leave --mask away")
        planes = ()
    height, width = frame.pixels.shape
    region = parse_region(request.region, width, height)
    marks = _marks(butler, data_id, dataset, request)
    counts = () if frame.mask is None else _counts(frame.mask, region, planes)
    sheet = Sheet(
        (f"visit {data_id['visit']}   ccd {data_id['ccd']}   {data_id['filter']}   {dataset}",),
        (Panel(dataset, frame.pixels, DATASETS[dataset], frame.mask),),
        region,
        request.region is None,
        tuple(planes),
        marks,
        (*counts, *source_legend(marks, region)),
        *_sky_directions(frame.wcs, region),
    )
    return _finish(sheet, dataset, data_id, ())


def _comparison(
    butler: Butler, data_id: DataId, found: Comparison, planes: tuple[str, ...], request: Request
) -> Picture:
    height, width = found.after.shape
    region = parse_region(request.region, width, height)
    marks = _marks(butler, data_id, "", request)
    difference = found.difference
    sheet = Sheet(
        (f"visit {data_id['visit']}   ccd {data_id['ccd']}   {data_id['filter']}   step {found.step}", found.how),
        (
            Panel(found.titles[0], found.before, found.unit, found.before_mask),
            Panel(found.titles[1], found.after, found.unit, found.after_mask),
            Panel("difference: second minus first", difference, found.unit, found.changed_mask, "difference"),
        ),
        region,
        request.region is None,
        planes,
        marks,
        (*_changes(found, region, planes), *source_legend(marks, region)),
        *_sky_directions(found.wcs, region),
    )
    return _finish(sheet, found.step, data_id, (_summary(difference[region.slices], found.unit),))


def _finish(sheet: Sheet, what: str, data_id: DataId, notes: tuple[str, ...]) -> Picture:
    region, zoom = sheet.region, zoom_of(sheet)
    place = f"columns {region.x0} to {region.x1}, rows {region.y0} to {region.y1}, {zoom.text()}"
    whole = replace(sheet, heading=(*sheet.heading, *notes, place))
    name = f"{what}-{int(data_id['visit']):07d}-{int(data_id['ccd']):03d}.png"
    legend = tuple(f"{entry.name}: {entry.text}" for entry in sheet.legend)
    return Picture(draw(whole), name, (*notes, place, *legend))


def _marks(butler: Butler, data_id: DataId, dataset: str, request: Request) -> tuple[Mark, ...]:
    wanted = request.sources
    if wanted is None:
        wanted = dataset == "calexp" and butler.datasetExists("src", data_id)
    if not wanted:
        return ()
    if dataset == "raw":
        raise UsageError(
            "Sources are not drawn on raw, whose pixels still have the overscan between them",
            remedy="Take --dataset calexp or postISRCCD",
        )
    sources = get_or_say(butler, "src", data_id)
    assert isinstance(sources, SourceCatalog)
    # A circle around each of thousands of sources would hide a whole frame.
    return source_marks(sources, only_stars=request.sources is None and request.region is None)


def _sky_directions(wcs: SkyWcs | None, region: Box) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Return the directions of north and east in pixels at the middle of the region."""
    if wcs is None:
        return None, None
    x, y = region.x0 + region.width / 2, region.y0 + region.height / 2
    ra, dec = (float(value) for value in wcs.pixel_to_sky(x, y))
    step = 1.0 / 3600.0
    ends = ((ra, dec + step), (ra + step / float(np.cos(np.deg2rad(dec))), dec))
    points = [wcs.sky_to_pixel(*end) for end in ends]
    north, east = ((float(px) - x, float(py) - y) for px, py in points)
    return north, east


def _number(mask: Int32Array, region: Box, plane: str) -> int:
    return int(np.count_nonzero(mask[region.slices] & np.int32(mask_bits(plane))))


def _counts(mask: Int32Array, region: Box, planes: Sequence[str]) -> tuple[LegendEntry, ...]:
    return tuple(LegendEntry(name, PLANE_COLOURS[name], f"{_number(mask, region, name):,} pixels") for name in planes)


def _changes(found: Comparison, region: Box, planes: Sequence[str]) -> tuple[LegendEntry, ...]:
    entries = []
    for name in planes:
        before, after = (_number(mask, region, name) for mask in (found.before_mask, found.after_mask))
        text = f"{after:,} pixels" if before == after else f"{before:,} to {after:,} pixels"
        entries.append(LegendEntry(name, PLANE_COLOURS[name], text))
    return tuple(entries)


def _summary(difference: FloatArray, unit: str) -> str:
    changed = difference[np.isfinite(difference) & (difference != 0)]
    if changed.size == 0:
        return "no pixel value changed"
    low, middle, high = quantiles(changed, (0.25, 0.5, 0.75))
    return (
        f"{changed.size:,} of {difference.size:,} pixels changed, by {middle:.4g} {unit} (median), "
        f"scatter {SIGMA_PER_IQR * (high - low):.3g}, from {changed.min():.4g} to {changed.max():.4g}"
    )
