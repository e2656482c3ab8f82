"""Reference objects around an exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import lsst.pex.config as pex_config
import numpy as np

from ..camera.filters import refcat_band
from ..catalog.htm import trixels_in_circle
from ..catalog.reference import ShardReader, add_filter_aliases, flux_field, load_region
from ..catalog.source_catalog import SourceCatalog
from ..errors import MissingInputError
from ..image.sky_wcs import SkyWcs, gnomonic
from ..numerics.arrays import FloatArray
from ..task_metadata import Task, timed_as

__all__ = ["LoadReferenceObjectsConfig", "RefObjLoader", "ReferenceRegion", "ReferenceShards"]


class LoadReferenceObjectsConfig(pex_config.Config):
    """Which reference catalogue, and how much of it."""

    ref_dataset_name = pex_config.Field(
        "Directory of the catalogue under ref_cats.", str, default="ps1_pv3_3pi_20170110"
    )
    pixelMargin = pex_config.RangeField(
        "Margin around the exposure within which objects are loaded (pixel).", int, default=300, min=0
    )
    defaultFilter = pex_config.Field(
        "Band for filters that filterMap does not name; empty for the built-in ones.", str, default=""
    )
    filterMap = pex_config.DictField(
        "Catalogue band by camera filter, before the built-in mapping.", str, str, default={}
    )


@dataclass(frozen=True)
class ReferenceRegion:
    """Reference objects of a circle on the sky, trimmed to the exposure's box.

    Attributes
    ----------
    catalog
        The objects, with columns centroid_x, centroid_y (pixel) and hasCentroid.
    flux_field
        Name of the flux column (Jy) that corresponds to the camera's filter.
    ra, dec, radius
        The circle, degrees.
    filter_name
        Canonical filter name.
    """

    catalog: SourceCatalog
    flux_field: str
    ra: float
    dec: float
    radius: float
    filter_name: str

    @property
    def sky(self) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination of the objects, degrees."""
        return np.rad2deg(self.catalog["coord_ra"]), np.rad2deg(self.catalog["coord_dec"])


class ReferenceShards(NamedTuple):
    """Access to one reference catalogue."""

    read: ShardReader
    """Returns the shard of an HTM pixel, or None if the catalogue has no such file."""
    depth: int
    """HTM depth of the shards."""


class RefObjLoader(Task[LoadReferenceObjectsConfig]):
    """Load the reference objects that may be on an exposure.

    Parameters
    ----------
    config
        The configuration.
    name
        Dotted task name, for the log.
    shards
        The catalogue.
    """

    def __init__(self, config: LoadReferenceObjectsConfig, name: str, shards: ReferenceShards) -> None:
        super().__init__(config, name)
        self.shards = shards

    @timed_as("loadPixelBox")
    def load_pixel_box(self, width: int, height: int, wcs: SkyWcs, filter_name: str) -> ReferenceRegion:
        """Load the objects within an image box grown by the margin.

        Raises
        ------
        MissingInputError
            A shard around the exposure is missing, or the catalogue has no band for the filter.
        """
        margin = self.config.pixelMargin
        corner_x = np.array([-margin, width - 1 + margin, width - 1 + margin, -margin], dtype=float)
        corner_y = np.array([-margin, -margin, height - 1 + margin, height - 1 + margin], dtype=float)
        ra0, dec0 = (float(v) for v in wcs.pixel_to_sky((width - 1) / 2, (height - 1) / 2))
        xi, eta = gnomonic(*wcs.pixel_to_sky(corner_x, corner_y), ra0, dec0)
        radius = float(np.rad2deg(np.arctan(np.hypot(xi, eta).max())))
        self.log.info(
            "Loading reference objects using center Fk5Coord(%.7f, %.7f, 2000.00) and radius %s deg", ra0, dec0, radius
        )
        self._check_shards(ra0, dec0, radius)
        catalog = load_region(self.shards.read, self.shards.depth, ra0, dec0, radius)
        x, y = wcs.sky_to_pixel(np.rad2deg(catalog["coord_ra"]), np.rad2deg(catalog["coord_dec"]))
        inside = (x >= -margin) & (x <= width - 1 + margin) & (y >= -margin) & (y <= height - 1 + margin)
        catalog = catalog.subset(inside)
        catalog["centroid_x"][:], catalog["centroid_y"][:] = x[inside], y[inside]
        catalog["hasCentroid"][:] = True
        self.log.info("Loaded %d reference objects", len(catalog))
        return ReferenceRegion(catalog, self._flux_field(catalog, filter_name), ra0, dec0, radius, filter_name)

    def _check_shards(self, ra: float, dec: float, radius: float) -> None:
        pixels = trixels_in_circle(ra, dec, radius, self.shards.depth)
        missing = [f"{pixel}.fits" for pixel in pixels if self.shards.read(pixel) is None]
        if missing:
            raise MissingInputError(
                f"Reference catalogue {self.config.ref_dataset_name} lacks {', '.join(missing)} around "
                f"RA {ra:.4f} Dec {dec:.4f} (radius {radius:.3f} deg)",
                remedy="Mount a catalogue that covers the field: hscbox mount REPO --ref-cats DIR",
            )

    def _flux_field(self, catalog: SourceCatalog, filter_name: str) -> str:
        band = self.config.filterMap.get(filter_name) or self.config.defaultFilter or refcat_band(filter_name)
        add_filter_aliases(catalog, {filter_name: band})
        return flux_field(catalog, filter_name)
