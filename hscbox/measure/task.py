"""Measurement of all sources of a catalogue on one exposure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import lsst.pex.config as pex_config
import numpy as np

from ..catalog.schema import Schema
from ..catalog.source_catalog import SourceCatalog
from ..errors import ConfigError, PsfFitError
from ..fits.metadata import Metadata
from ..image.exposure import Exposure
from ..task_metadata import Task, timed_method
from . import plugins as _all_plugins  # noqa: F401  enters them into PLUGINS
from .context import CatalogRows, MeasurementContext
from .noise_replacer import NoiseReplacerConfig, describe_noise, replace_by_noise
from .pixels import SourcePixels, gather_pixels
from .plugin import PLUGINS, Plugin

__all__ = ["SingleFrameMeasurementConfig", "SingleFrameMeasurementTask", "SourceSlotConfig"]

# Measured on bright sources only, in the characterization.
_BRIGHT_ONLY = ("ext_convolved_ConvolvedFlux", "modelfit_CModel", "modelfit_DoubleShapeletPsfApprox")
_DEFAULT_PLUGINS = [name for name in sorted(PLUGINS) if name not in _BRIGHT_ONLY]
# Sources are measured in portions, so that the memory for PSF images does not grow with their number.
_PORTION = 512
_CENTROID_SLOT = "slot_Centroid"
_SHAPE_SLOT = "slot_Shape"


class SourceSlotConfig(pex_config.Config):
    """Which measurement stands behind each slot; "" leaves the slot undefined."""

    centroid = pex_config.Field("Centroid that the other plugins use.", str, default="base_SdssCentroid")
    shape = pex_config.Field("Shape that the other plugins use.", str, default="ext_shapeHSM_HsmSourceMoments")
    psfShape = pex_config.Field("Shape of the PSF.", str, default="ext_shapeHSM_HsmPsfMoments")
    apFlux = pex_config.Field("Aperture flux.", str, default="base_CircularApertureFlux_12_0")
    modelFlux = pex_config.Field("Model flux.", str, default="base_GaussianFlux")
    psfFlux = pex_config.Field("PSF flux.", str, default="base_PsfFlux")
    instFlux = pex_config.Field("Flux for general use.", str, default="base_GaussianFlux")
    calibFlux = pex_config.Field("Flux of the zero point.", str, default="base_CircularApertureFlux_12_0")

    def targets(self) -> dict[str, str]:
        """Return the slots that are defined, as alias to target."""
        pairs = {f"slot_{name[0].upper()}{name[1:]}": str(value) for name, value in self.toDict().items()}
        return {alias: target for alias, target in sorted(pairs.items()) if target}


class SingleFrameMeasurementConfig(pex_config.Config):
    """What is measured."""

    plugins = PLUGINS.makeField("Plugins to run, and their parameters.", default=_DEFAULT_PLUGINS, multi=True)
    slots = pex_config.ConfigField("Slots.", SourceSlotConfig)
    doReplaceWithNoise = pex_config.Field("Replace the other sources by noise?", bool, default=True)
    noiseReplacer = pex_config.ConfigField("The noise.", NoiseReplacerConfig)

    def validate(self) -> None:
        """Refuse slots that no plugin fills but are needed."""
        super().validate()
        for slot in ("centroid", "shape"):
            target = getattr(self.slots, slot)
            if target not in list(self.plugins.names):
                raise ValueError(f"slots.{slot} is {target!r}, which is not among plugins.names")


class SingleFrameMeasurementTask(Task[SingleFrameMeasurementConfig]):
    """Measure all sources of a catalogue.

    Parameters
    ----------
    config
        Which plugins.
    name
        Dotted name of the task, e.g. "processCcd.calibrate.measurement".
    schema
        Gets the columns of all plugins, in the order in which these run, and the aliases of the slots.
    """

    def __init__(self, config: SingleFrameMeasurementConfig, name: str, schema: Schema) -> None:
        super().__init__(config, name)
        classes = {plugin: PLUGINS[plugin] for plugin in config.plugins.names}
        ordered = sorted(classes, key=lambda plugin: (classes[plugin].order, plugin))
        self.plugins: list[Plugin] = [classes[plugin](config.plugins[plugin], plugin, schema) for plugin in ordered]
        slots = config.slots.targets()
        for alias, target in slots.items():
            schema.set_alias(alias, target)
        self.metadata = Metadata()
        for plugin in self.plugins:
            for alias, target in plugin.aliases(slots).items():
                schema.set_alias(alias, target)
            for key, value in plugin.metadata().items():
                self.metadata.set(key, value)
        self._slots = slots

    def apcorr_names(self) -> list[str]:
        """Return the names of all fluxes that aperture corrections apply to, sorted."""
        return sorted(name for plugin in self.plugins for name in plugin.apcorr_names())

    @timed_method
    def run(
        self,
        *,
        catalog: SourceCatalog,
        exposure: Exposure,
        exposure_id: int,
        only: Collection[str] | None = None,
    ) -> None:
        """Fill the columns of `catalog`, whose rows all have footprints; the exposure is left as it was.

        Parameters
        ----------
        catalog
            Sources; heavy footprints of children supply their pixels.
        exposure
            Background-subtracted image with a PSF.
        exposure_id
            Seeds the noise that replaces neighbours.
        only
            Names of the plugins to run; None for all.

        Raises
        ------
        PsfFitError
            The exposure has no PSF.
        ValueError
            A row has no footprint.
        """
        if exposure.psf is None:
            raise PsfFitError("The exposure has no PSF, which the measurements need")
        footprints = [f for f in catalog.footprints if f is not None]
        if len(footprints) != len(catalog):
            raise ValueError(f"{len(catalog) - len(footprints)} of {len(catalog)} sources have no footprint")
        n_children = int(np.count_nonzero(catalog["parent"]))
        self.log.info(
            "Measuring %d sources (%d parents, %d children) ", len(catalog), len(catalog) - n_children, n_children
        )
        for key, card in self.metadata.items():
            catalog.metadata.set(key, card)
        work = exposure.image.copy()
        if self.config.doReplaceWithNoise:
            pixels = replace_by_noise(work, footprints, exposure_id, self.config.noiseReplacer)
            describe_noise(catalog.metadata, exposure_id, self.config.noiseReplacer)
        else:
            start, index, value = gather_pixels(work, footprints)
            pixels = SourcePixels(work, start, index, value, work.reshape(-1)[index])
        working = replace(exposure, image=work)
        running = self._running_order(only)
        for first in range(0, len(catalog), _PORTION):
            rows = slice(first, min(first + _PORTION, len(catalog)))
            portion = pixels._replace(start=pixels.start[first : rows.stop + 1])
            context = MeasurementContext(working, portion, CatalogRows(catalog, rows), exposure.psf, exposure.image)
            for plugin in running:
                plugin.measure(context)

    def _running_order(self, only: Collection[str] | None) -> list[Plugin]:
        chosen = [plugin for plugin in self.plugins if only is None or plugin.name in only]
        first = self._slots[_CENTROID_SLOT]
        if first not in [plugin.name for plugin in chosen]:
            raise ConfigError(f"The centroid slot {first!r} is not among the plugins to run")
        # Everything else starts from the centroid slot, and much from the shape slot.
        shape = self._slots[_SHAPE_SLOT]
        return sorted(chosen, key=lambda p: (p.name != first, p.order, p.name != shape, p.name))
