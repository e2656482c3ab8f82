"""A complete synthetic data set on disk: raws, masters, reference catalogue, truth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..butler.calib_registry import CALIB_REGISTRY_NAME
from ..butler.registry import Registry
from ..errors import UsageError
from ..fits.cards import card, metadata_cards
from ..fits.header_reader import read_primary_header
from ..fits.write import FitsUnit, write_units
from ..products.reference_shards import write_shards
from .frame import SimulatedFrame, simulate_frame
from .header import frame_id
from .masters import Master, masters_for, pattern_digest, write_kernel, write_master, write_registry
from .reference import reference_catalog
from .scene import Scene
from .sources import REFCAT_NAME, scene_objects
from .truth import read_scene_record, truth_directory, write_truth

__all__ = ["raw_path", "write_dataset", "write_raw"]

log = logging.getLogger("simulate")

_REFCAT_DEPTH = 7


def raw_path(directory: Path | str, scene: Scene) -> Path:
    """Return where the raw frame of a scene stands in a data set: raw/<FRAMEID>.fits."""
    return Path(directory) / "raw" / f"{frame_id(scene)}.fits"


def write_raw(path: Path | str, frame: SimulatedFrame) -> None:
    """Write a raw frame as the archive has it: one unit, 16 bit integers with an offset of 32768."""
    height, width = frame.raw.shape
    cards = [
        card("SIMPLE", True, "standard FITS"),
        card("BITPIX", 16, "bits per pixel, signed"),
        card("NAXIS", 2, "number of axes"),
        card("NAXIS1", width, "x size incl. prescan/overscan"),
        card("NAXIS2", height, "y size incl. prescan/overscan"),
        card("EXTEND", False, "no extensions"),
        *metadata_cards(frame.header),
    ]
    stored = (frame.raw.astype(np.int32) - 32768).astype(np.int16)
    write_units(path, [FitsUnit(cards, stored)])


def write_dataset(directory: Path | str, scenes: Sequence[Scene], *, truth_images: bool = True) -> list[Path]:
    """Write raws, masters, reference catalogue and truth of all scenes, and return the paths of the raws.

    A scene that stands in the directory already, by the hash of its definition, is not made again. Masters and the
    reference catalogue of earlier calls are kept; the reference catalogue is written for all scenes in the directory.
    Without `truth_images` only the tables of the truth and its scene.json are written.

    Raises
    ------
    UsageError
        Scenes of different synthetic cameras or skies (seed, rows, effects) would share masters or the catalogue.
    """
    root = Path(directory)
    ordered = sorted(scenes, key=lambda scene: (scene.visit, scene.ccd))
    _check_compatible([*_present(root), *ordered])
    for scene in ordered:
        if _is_made(root, scene, truth_images):
            log.info("Visit %d ccd %d is there already", scene.visit, scene.ccd)
            continue
        frame = simulate_frame(scene)
        write_raw(raw_path(root, scene), frame)
        write_truth(root, frame, images=truth_images)
        log.info("Wrote %s", raw_path(root, scene))
    _write_masters(root / "CALIB", ordered)
    _write_reference(root, [*_present(root)])
    return [raw_path(root, scene) for scene in ordered]


def _is_made(root: Path, scene: Scene, truth_images: bool) -> bool:
    truth = truth_directory(root, scene)
    record = read_scene_record(truth)
    wanted = [raw_path(root, scene), *([truth / "objects.fits"] if truth_images else [])]
    return record is not None and record.get("digest") == scene.digest and all(path.exists() for path in wanted)


def _present(root: Path) -> list[Scene]:
    """Return the scenes whose truth stands in the directory."""
    records = [read_scene_record(path.parent) for path in sorted(root.glob("truth/*/scene.json"))]
    return [Scene.from_dict(record["scene"]) for record in records if record is not None]


def _check_compatible(scenes: Sequence[Scene]) -> None:
    skies = {(s.seed, s.star_density, s.galaxy_density, s.faint_limit) for s in scenes}
    if len(skies) > 1:
        raise UsageError(
            f"Scenes of {len(skies)} different skies cannot share a reference catalogue",
            remedy="Use one seed, one density and one faint limit in a directory, or several directories",
        )
    patterns: dict[tuple[str, str, int], str] = {}
    for scene in scenes:
        for master in masters_for(scene, scene.date):
            key = (master.kind, master.filter, master.ccd)
            if patterns.setdefault(key, pattern_digest(master, scene)) != pattern_digest(master, scene):
                raise UsageError(
                    f"Scenes of CCD {scene.ccd} need different {master.kind} masters",
                    remedy="Use the same number of rows and the same effects in a directory, or several directories",
                )


def _write_masters(root: Path, scenes: Sequence[Scene]) -> None:
    """Write the masters that are not there; all have one date, so that none competes with another."""
    calib_date = _calib_date(root) or min(scene.date for scene in scenes)
    masters: dict[Master, Scene] = {}
    for scene in scenes:
        for master in masters_for(scene, calib_date):
            masters.setdefault(master, scene)
    for master, scene in masters.items():
        path = root / master.path
        if path.exists() and read_primary_header(path).get("SIMDIGST") == pattern_digest(master, scene):
            continue
        write_master(root, master, scene)
    write_kernel(root)
    write_registry(root, list(masters), [scene.date for scene in scenes])


def _calib_date(root: Path) -> str | None:
    path = root / CALIB_REGISTRY_NAME
    if not path.exists():
        return None
    registry = Registry(path)
    try:
        return min((str(row[0]) for row in registry.query("bias", ("calibDate",), {})), default=None)
    finally:
        registry.close()


def _write_reference(root: Path, scenes: Sequence[Scene]) -> None:
    parts: list[NDArray[np.void]] = []
    known: set[tuple[float, ...]] = set()
    for scene in scenes:
        place = (scene.ccd, *scene.true_boresight, scene.inst_pa)
        if place not in known:
            known.add(place)
            parts.append(scene_objects(scene))
    write_shards(
        root / "ref_cats", REFCAT_NAME, reference_catalog(scenes[0].seed, np.concatenate(parts)), _REFCAT_DEPTH
    )
