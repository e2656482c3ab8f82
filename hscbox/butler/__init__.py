"""The repository: data ids, dataset names, registries, ingest, and access to files by name."""

from __future__ import annotations

from .butler import Butler
from .data_id import DataId, format_data_id, parse_ids
from .data_ref import ButlerSubset, DataRef
from .lookup import Expansion

__all__ = ["Butler", "ButlerSubset", "DataId", "DataRef", "Expansion", "format_data_id", "parse_ids"]
