"""Write a reference catalogue's directory, read it back, and only then give it its name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..camera.path_part import is_path_part
from ..catalog.htm import trixel_of
from ..catalog.source_catalog import SourceCatalog
from ..errors import DamagedInputError, OutputError, UsageError
from ..machine.files import output_failure, write_bytes
from ..products.catalog import read_catalog, write_schema
from ..products.reference_shards import read_reference_config, write_shards
from .column_map import ColumnMap
from .columns import read_columns
from .convert import RowReport, convert

__all__ = ["DEFAULT_DEPTH", "Built", "build", "build_from_table", "check_free"]

DEFAULT_DEPTH = 7
_DEEPEST = 12
# A table of the whole sky at a small depth is no mistake; this many files in a directory is one.
_MOST_SHARDS = 200_000
# Besides the shards.
_OWN_FILES = ("config.py", "master_schema.fits")


@dataclass(frozen=True)
class Built:
    """A catalogue that was written.

    Attributes
    ----------
    path
        Its directory.
    shards
        Trixels with a file.
    empty
        Those of them without objects.
    objects
        Number of objects.
    """

    path: Path
    shards: tuple[int, ...]
    empty: tuple[int, ...]
    objects: int

    def line(self) -> str:
        """Return one line for the user."""
        of_which = f", {len(self.empty)} of them empty" if self.empty else ""
        return f"{self.path}: {self.objects} objects in {len(self.shards)} shards{of_which}"


def check_free(output: Path, name: str, depth: int = DEFAULT_DEPTH) -> Path:
    """Return the directory that the catalogue will have.

    Raises
    ------
    UsageError
        The name or the depth is not possible.
    OutputError
        There is something of that name.
    """
    if not is_path_part(name):
        raise UsageError(
            f"{name!r} cannot be the name of a catalogue, allowed are letters, digits and _ . + -, not a dot first"
        )
    if not 0 <= depth <= _DEEPEST:
        raise UsageError(f"Depth {depth} is outside of 0 to {_DEEPEST}", remedy="HSC's catalogues have depth 7")
    path = output / name
    if path.exists() or path.is_symlink():
        raise OutputError(
            f"{path} exists; a catalogue is never overwritten",
            remedy="Give another --name, or remove that directory first",
        )
    return path


def build_from_table(
    table: Path, output: Path, name: str, column_map: ColumnMap, depth: int = DEFAULT_DEPTH
) -> tuple[Built, RowReport]:
    """Make the reference catalogue `output`/`name` from a CSV, FITS or Parquet table.

    Raises
    ------
    UsageError, OutputError
        Name, depth or format are not possible, or the catalogue exists.
    InputError
        The table is missing, damaged, lacks columns or has no valid row.
    """
    check_free(output, name, depth)
    columns = read_columns(table, column_map.needed)
    catalog, report = convert(columns, column_map, str(table))
    return build(output, name, catalog, depth), report


def build(
    output: Path,
    name: str,
    catalog: SourceCatalog,
    depth: int = DEFAULT_DEPTH,
    covered: Sequence[int] = (),
    extra_files: dict[str, bytes] | None = None,
) -> Built:
    """Write a catalogue, verify it by reading it back, and move it to its place.

    Parameters
    ----------
    catalog
        Objects in the form of 2017.
    covered
        Trixels known to be covered: those without objects get an empty file, because a run refuses a region where
        files are missing.
    extra_files
        Further files of the directory, by name.

    Raises
    ------
    OutputError, TemporaryError
        It exists, or cannot be written.
    DamagedInputError
        What was read back is not what was written.
    """
    path = check_free(output, name, depth)
    occupied = np.unique(trixel_of(np.degrees(catalog["coord_ra"]), np.degrees(catalog["coord_dec"]), depth))
    if len(occupied) > _MOST_SHARDS:
        raise UsageError(f"{len(occupied)} shards at depth {depth} are too many", remedy="Choose a smaller --depth")
    room = _work_room(output, name)
    try:
        shards = write_shards(room, name, catalog, depth)
        empty = sorted(set(covered) - set(shards))
        template = read_catalog(room / name / "master_schema.fits", footprints=False)
        for number in empty:
            write_schema(room / name / f"{number}.fits", template.schema, template.metadata)
        for file, data in (extra_files or {}).items():
            write_bytes(room / name / file, data)
        every = tuple(sorted({*shards, *empty}))
        _verify_files(room / name, [*(f"{number}.fits" for number in every), *(extra_files or {})])
        _verify(room / name, name, catalog, depth, every)
        check_free(output, name, depth)
        try:
            (room / name).rename(path)
        except OSError as error:
            raise output_failure(path, error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return Built(path, every, tuple(empty), len(catalog))


def _work_room(output: Path, name: str) -> Path:
    """Make a new directory for the work: what a killed build left, perhaps under the same process id, is not ours."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        # Only its owner can enter it; the catalogue's own directory, made in it, gets what the umask grants.
        return Path(tempfile.mkdtemp(dir=output, prefix=f".{name}.building-"))
    except OSError as error:
        raise output_failure(output / name, error) from error


def _verify_files(root: Path, expected: Sequence[str]) -> None:
    """Compare the directory with what was written: a run reads whatever shard is there."""
    found, wanted = {path.name for path in root.iterdir()}, {*_OWN_FILES, *expected}
    if found != wanted:
        raise _unfaithful(root, f"there are unexpected or missing files: {', '.join(sorted(found ^ wanted)[:5])}")


def _verify(root: Path, name: str, catalog: SourceCatalog, depth: int, shards: Sequence[int]) -> None:
    """Compare what is on disk with the catalogue, value by value."""
    config = read_reference_config(root)
    if (config.name, config.depth) != (name, depth):
        raise _unfaithful(root, "its config.py says something else")
    parts = []
    for number in shards:
        shard = read_catalog(root / f"{number}.fits", footprints=False)
        inside = trixel_of(np.degrees(shard["coord_ra"]), np.degrees(shard["coord_dec"]), depth) == number
        if not inside.all():
            raise _unfaithful(root, f"{number}.fits holds objects of other trixels")
        parts.append(shard)
    total = sum(len(part) for part in parts)
    if total != len(catalog):
        raise _unfaithful(root, f"its shards hold {total} objects, the table {len(catalog)}")
    order, wanted = np.argsort(np.concatenate([part["id"] for part in parts])), np.argsort(catalog["id"])
    for column in catalog.schema.names():
        written = np.concatenate([part[column] for part in parts])[order]
        if not np.array_equal(written, catalog[column][wanted], equal_nan=written.dtype.kind == "f"):
            raise _unfaithful(root, f"the values of {column} differ")


def _unfaithful(root: Path, problem: str) -> DamagedInputError:
    return DamagedInputError(
        f"Reading back {root.name} failed: {problem}", remedy="The disk or its file system is not reliable"
    )
