"""Names of datasets, where their files are, and what kind of file each is.

Layout of the HSC repositories of the LSST stack, weekly w_2017_38: `data/datasets.ecsv`, which names its sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..camera.calib_kinds import CALIB_KINDS
from ..camera.tables import read_table, record
from ..errors import UnsafeInputError, UsageError
from .data_id import EXPOSURE_KEYS, KEY_TYPES

__all__ = ["DATASETS", "DatasetType", "key_types_of"]

_FIELD = re.compile(r"%\((\w+)\)(\d*)([diouxefgcrs])")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class DatasetType:
    """A kind of dataset.

    Attributes
    ----------
    name
        Dataset name, such as `calexp`.
    template
        Path below the root, in the `%(key)05d` notation.
    storage
        Name of the formatter that reads and writes it.
    """

    name: str
    template: str
    storage: str

    @cached_property
    def key_types(self) -> Mapping[str, type]:
        """Keys of the template, with the types of their values."""
        letters = {"d": int, "i": int, "o": int, "u": int, "x": int, "e": float, "f": float, "g": float}
        return {m.group(1): letters.get(m.group(3), str) for m in _FIELD.finditer(self.template)}

    @cached_property
    def is_calib(self) -> bool:
        """Whether files of this type belong to the calibration repository."""
        return self.name in CALIB_KINDS or self.name == "bfKernel"

    def path(self, data_id: Mapping[str, object]) -> str:
        """Return the path below the root for a complete data id.

        Raises
        ------
        UsageError
            A key is missing.
        UnsafeInputError
            A text would be more than one part of a path.
        """
        values: dict[str, object] = {}
        for key, wanted in self.key_types.items():
            if key not in data_id:
                raise UsageError(
                    f"Data id for '{self.name}' lacks the key '{key}'; needed are {', '.join(self.key_types)}"
                )
            value = data_id[key]
            if wanted is str:
                text = str(value)
                if not text or text in {".", ".."} or _UNSAFE.search(text):
                    raise UnsafeInputError(
                        f"The value {text!r} of '{key}' cannot be part of a path",
                        remedy="Allowed are names without slash and control characters",
                    )
                value = text
            values[key] = value
        return self.template % values


def _all() -> dict[str, DatasetType]:
    listed = [record(DatasetType, row) for row in read_table("datasets", "butler")]
    calibs = [DatasetType(kind.name, kind.template, "image") for kind in CALIB_KINDS.values()]
    configs = [DatasetType(f"{name}_config", f"config/{name}.py", "text") for name in CALIB_KINDS]
    return {kind.name: kind for kind in (*listed, *calibs, *configs)}


DATASETS: dict[str, DatasetType] = _all()


def key_types_of(kind: DatasetType) -> dict[str, type]:
    """Return the keys of a dataset with their types, in the order of the original's `getKeys`."""
    types = dict(kind.key_types)
    if "visit" in types and "ccd" in types and "tract" not in types:
        if kind.name == "raw":
            types = {}
        types.update({key: KEY_TYPES[key] for key in EXPOSURE_KEYS if key not in types})
    return types
