"""Names of datasets, where their files are, and what kind of file each is.

Layout of the HSC repositories of the LSST stack, weekly w_2017_38 (lsst/obs_subaru b7c7029d,
policy/HscMapper.yaml; lsst/obs_base a83c9647, policy/datasets.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import UnsafeInputError, UsageError
from .data_id import EXPOSURE_KEYS, KEY_TYPES, suggestion

__all__ = ["DATASETS", "DatasetType", "dataset_type", "key_types_of"]

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
    key_types: Mapping[str, type] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        letters = {"d": int, "i": int, "o": int, "u": int, "x": int, "e": float, "f": float, "g": float}
        types = {m.group(1): letters.get(m.group(3), str) for m in _FIELD.finditer(self.template)}
        object.__setattr__(self, "key_types", types)

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


def _single_frame() -> dict[str, tuple[str, str]]:
    base, stem = "%(pointing)05d/%(filter)s", "%(visit)07d-%(ccd)03d"
    table = {
        "icExp": (f"{base}/corr/ICEXP-{stem}.fits", "exposure"),
        "icExpBackground": (f"{base}/corr/ICEXPBKGD-{stem}.fits", "backgrounds"),
        "icSrc": (f"{base}/output/ICSRC-{stem}.fits", "catalog"),
        "calexp": (f"{base}/corr/CORR-{stem}.fits", "exposure"),
        "calexpBackground": (f"{base}/corr/BKGD-{stem}.fits", "backgrounds"),
        "src": (f"{base}/output/SRC-{stem}.fits", "catalog"),
        "srcMatch": (f"{base}/output/SRCMATCH-{stem}.fits", "matches"),
        "srcMatchFull": (f"{base}/output/SRCMATCHFULL-{stem}.fits", "catalog"),
        "icMatch": (f"{base}/output/MATCH-{stem}.fits", "matches"),
        "transformed_src": (f"{base}/output/TRSRC-{stem}.fits", "catalog"),
        "ossImage": (f"{base}/thumbs/oss-{stem}.fits", "exposure"),
        "flattenedImage": (f"{base}/thumbs/flattened-{stem}.fits", "exposure"),
        "ossThumb": (f"{base}/thumbs/oss-{stem}.png", "png"),
        "flattenedThumb": (f"{base}/thumbs/flattened-{stem}.png", "png"),
        "calexpThumb": (f"{base}/thumbs/corr-{stem}.png", "png"),
        "singleFrameDriver_metadata": (f"{base}/singleFrameDriver_metadata/%(visit)07d.boost", "boost"),
        "log": (f"{base}/logs/run.log", "text"),
        "wcs_hsc": (f"{base}/corr/%(tract)04d/WCS-{stem}.fits", "exposure"),
        "fcr_hsc": (f"{base}/corr/%(tract)04d/FCR-{stem}.fits", "exposure"),
        "calibrated_exp": (f"{base}/corr/%(tract)04d/CALEXP-{stem}.fits", "exposure"),
        "calibrated_src": (f"{base}/output/%(tract)04d/CALSRC-{stem}.fits", "catalog"),
        "forced_src": (f"{base}/tract%(tract)d/FORCEDSRC-{stem}.fits", "catalog"),
    }
    for task in ("processCcd", "isr", "characterizeImage", "calibrate"):
        table[f"{task}_metadata"] = (f"{base}/{task}_metadata/{stem}.boost", "boost")
    return table


def _once_per_repository() -> dict[str, tuple[str, str]]:
    table = {
        "packages": ("config/packages.pickle", "pickle"),
        "icSrc_schema": ("schema/icSrc.fits", "catalog"),
        "src_schema": ("schema/src.fits", "catalog"),
        "forced_src_schema": ("schema/forced_src_schema.fits", "catalog"),
    }
    tasks = ("processCcd", "isr", "characterizeImage", "calibrate", "singleFrameDriver")
    for name in (*tasks, *CALIB_KINDS):
        table[f"{name}_config"] = (f"config/{name}.py", "text")
    return table


def _all() -> dict[str, DatasetType]:
    jointcal = "jointcal-results/%(tract)04d"
    table = {
        "raw": (
            "%(field)s/%(dateObs)s/%(pointing)05d/%(filter)s/HSC-%(visit)07d-%(ccd)03d.fits",
            "raw",
        ),
        **{kind.name: (kind.template, "image") for kind in CALIB_KINDS.values()},
        "bfKernel": ("BFKERNEL/brighter_fatter_kernel.pkl", "pickle"),
        "ref_cat": ("ref_cats/%(name)s/%(pixel_id)s.fits", "catalog"),
        "ref_cat_config": ("ref_cats/%(name)s/config.py", "text"),
        "postISRCCD": ("postISRCCD/v%(visit)07d-f%(filter)s/c%(ccd)03d.fits", "exposure"),
        "wcs": (f"{jointcal}/wcs-%(visit)07d-%(ccd)03d.fits", "exposure"),
        "fcr": (f"{jointcal}/fcr-%(visit)07d-%(ccd)03d.fits", "exposure"),
        "photoCalib": (f"{jointcal}/photoCalib-%(visit)07d-%(ccd)03d.fits", "exposure"),
        **_single_frame(),
        **_once_per_repository(),
    }
    return {name: DatasetType(name, template, storage) for name, (template, storage) in table.items()}


DATASETS: dict[str, DatasetType] = _all()


def dataset_type(name: str) -> DatasetType:
    """Return the dataset type of that name.

    Raises
    ------
    UsageError
        There is none; the message names all.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UsageError(
            f"Unknown dataset '{name}'; allowed are {', '.join(sorted(DATASETS))}",
            remedy=suggestion(name, DATASETS),
        ) from None


def key_types_of(name: str) -> dict[str, type]:
    """Return the keys of a dataset with their types, in the order of the original's `getKeys`."""
    kind = dataset_type(name)
    types = dict(kind.key_types)
    if "visit" in types and "ccd" in types and "tract" not in types:
        if name == "raw":
            types = {}
        types.update({key: KEY_TYPES[key] for key in EXPOSURE_KEYS if key not in types})
    return types
