"""What a measurement plugin is, and the registry of all plugins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import lsst.pex.config as pex_config

from ..catalog.schema import Schema
from ..fits.metadata import CardValue
from .context import MeasurementContext

__all__ = ["PLUGINS", "Plugin", "PluginConfig", "register"]

PLUGINS = pex_config.makeRegistry("Measurement plugins by name.")
_PluginClass = TypeVar("_PluginClass", bound="type[Plugin]")


class PluginConfig(pex_config.Config):
    """Parameters of a plugin that has none."""


class Plugin(ABC):
    """One measurement: declares its columns when it is made, and fills them for all sources of a catalogue.

    Parameters
    ----------
    config
        Parameters, an instance of `ConfigClass`.
    name
        Beginning of the names of its columns.
    schema
        Gets the columns.
    """

    ConfigClass: ClassVar[type[Any]] = PluginConfig
    order: ClassVar[float] = 2.0
    """Plugins run by order, then name: 0 centroids, 1 what needs centroids, 2 fluxes, 2.1 what needs those."""
    flux_names: ClassVar[tuple[str, ...]] = ()
    """Endings, after `name`, of the fluxes that aperture corrections apply to; "" for `name` itself."""
    centroid_alias: ClassVar[str] = ""
    """Alias, after `name`, of the flag of the centroid slot."""

    def __init__(self, config: Any, name: str, schema: Schema) -> None:
        self.config = config
        self.name = name
        self.declare(schema)

    @abstractmethod
    def declare(self, schema: Schema) -> None:
        """Add the columns to `schema`."""

    @abstractmethod
    def measure(self, context: MeasurementContext) -> None:
        """Measure all sources and fill the columns."""

    def metadata(self) -> dict[str, CardValue]:
        """Return what the header of the catalogue should say about the plugin."""
        return {}

    def apcorr_names(self) -> list[str]:
        """Return the names of the fluxes that aperture corrections apply to."""
        return [f"{self.name}{ending}" for ending in self.flux_names]

    def aliases(self, slots: dict[str, str]) -> dict[str, str]:
        """Return aliases of flags of slots that make this plugin fail; `slots` maps slot names to plugins."""
        if not self.centroid_alias:
            return {}
        return {f"{self.name}{self.centroid_alias}": f"{slots['slot_Centroid']}_flag"}

    def add_point(self, schema: Schema, doc: str, ending: str = "") -> None:
        """Declare x and y [px] of a position; `name` and `ending` go before both."""
        for axis in "xy":
            schema.add_field(f"{self.name}{ending}_{axis}", "D", f"{doc}, {axis}", "pixel")

    def add_ellipse(self, schema: Schema, doc: str, ending: str = "") -> None:
        """Declare xx, yy and xy [px^2] of an ellipse; `name` and `ending` go before all."""
        for term in ("xx", "yy", "xy"):
            schema.add_field(f"{self.name}{ending}_{term}", "D", f"{doc}, I{term}", "pixel^2")

    def add_flags(self, schema: Schema, **docs: str) -> None:
        """Declare flags; `name` and an underscore go before each."""
        for ending, doc in docs.items():
            schema.add_field(f"{self.name}_{ending}", "Flag", doc)


def register(name: str) -> Callable[[_PluginClass], _PluginClass]:
    """Enter a plugin class into `PLUGINS` under `name`."""

    def enter(plugin: _PluginClass) -> _PluginClass:
        PLUGINS.register(name, plugin)
        return plugin

    return enter
