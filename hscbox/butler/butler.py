"""The butler: datasets by name and data id, wherever their files are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..camera.calib_kinds import CALIB_KINDS
from ..errors import InputError, MissingInputError, OutputError, UsageError
from .data_id import DataId, suggestion
from .data_ref import LEVELS, ButlerSubset, DataRef
from .derived import COMPUTED, read_part, split_name
from .formatters import write_file
from .ingest_report import VisitCompleteness, completeness
from .lookup import ALL_KEYS, Expansion, Lookup
from .opening import Place, open_places
from .output import back_up
from .paths import absolute
from .repository import Opened, Repository
from .templates import DATASETS, key_types_of

__all__ = ["Butler"]

# Options of the original that may be among the keys of a data id; they do not choose a file.
_IGNORED_KEYS = {"flags", "imageOrigin", "hdu"}


class Butler:
    """Access to the datasets of one or several repositories.

    Parameters
    ----------
    root
        A repository that is read and written.
    inputs
        One or several repositories that are only read, instead of `root`.
    outputs
        Repository to write to. A path is written only; `{"root": path, "mode": "rw"}` is also read, before
        the inputs.
    calib_root, calibRoot
        Calibration directory to use instead of `CALIB` in each repository.
    quiet
        Do not log which registries are used.
    opened
        Repositories that are open already; those that are opened here are added.

    Raises
    ------
    MissingInputError
        A repository does not exist. Nothing is made on disk.
    UsageError
        `root` is mixed with inputs or outputs, or nothing is given.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        inputs: Place | Sequence[Place] | None = None,
        outputs: Place | Sequence[Place] | None = None,
        calib_root: str | Path | None = None,
        calibRoot: str | Path | None = None,
        quiet: bool = False,
        opened: Opened | None = None,
    ) -> None:
        if (root is None) == (inputs is None and outputs is None):
            raise UsageError("Give either root, or inputs and outputs")
        calib = calib_root if calib_root is not None else calibRoot
        self._aliases: dict[str, str] = {}
        if root is not None:
            inputs, outputs = root, {"root": root, "mode": "rw"}
        calib_place = None if calib is None else absolute(calib)
        self._output, repositories = open_places(inputs, outputs, calib_place, opened)
        self._lookup = Lookup(repositories)
        if not quiet:
            self._lookup.log_registries()

    @classmethod
    def for_run(
        cls,
        input_root: str | Path,
        output_root: str | Path,
        *,
        calib_root: str | Path | None = None,
        quiet: bool = False,
        opened: Opened | None = None,
        new: bool = False,
    ) -> Butler:
        """Open an input for reading and an output for reading and writing, as the commands do.

        With `new` the output is one that will be made anew: what is there now does not count.
        """
        outputs = {"root": output_root, "mode": "rw", "new": new}
        return cls(inputs=input_root, outputs=outputs, calib_root=calib_root, quiet=quiet, opened=opened)

    @property
    def repositories(self) -> list[Repository]:
        """The repositories in the order in which they are searched."""
        return self._lookup.repositories

    @property
    def output_root(self) -> Path | None:
        """The directory that products are written to."""
        return None if self._output is None else self._output.root

    def _name(self, dataset: str) -> str:
        if not dataset.startswith("@"):
            return dataset
        for alias, target in self._aliases.items():
            if dataset == alias or dataset.startswith(f"{alias}_"):
                return target + dataset[len(alias) :]
        raise UsageError(
            f"Unknown alias '{dataset}'; defined are {', '.join(self._aliases) or 'none'}",
            remedy="Define it with defineAlias",
        )

    def _data_id(self, data_id: Mapping[str, object] | None, keys: Mapping[str, object]) -> DataId:
        merged = {**(data_id or {}), **keys}
        for key in _IGNORED_KEYS:
            merged.pop(key, None)
        return self._lookup.check_keys(merged)

    def get(
        self,
        datasetType: str,
        dataId: Mapping[str, object] | None = None,
        immediate: bool = True,
        **keys: object,
    ) -> Any:
        """Return a dataset.

        Parameters
        ----------
        datasetType
            Its name: `calexp`, `calexp_wcs`, `src`, `raw_md`, `camera`, ...
        dataId
            Data id; what is missing is taken from the registry where that is unique.
        immediate
            Accepted for old scripts; datasets are always read at once.
        **keys
            Further keys of the data id, which win over those in `dataId`.

        Raises
        ------
        UsageError
            Unknown dataset or key; the message names the choices.
        MissingInputError
            There is no file; the message lists the paths tried.
        InputError
            The data id leads nowhere, or the file is damaged.
        """
        del immediate
        name = self._name(datasetType)
        data_id = self._data_id(dataId, keys)
        if name in COMPUTED:
            needed, compute = COMPUTED[name]
            return compute(self._lookup.complete(data_id, needed))
        kind, part = split_name(name)
        path, complete = self._lookup.find(kind, data_id)
        return read_part(kind, part, path, complete)

    def put(
        self,
        obj: object,
        datasetType: str,
        dataId: Mapping[str, object] | None = None,
        doBackup: bool = False,
        **keys: object,
    ) -> Path:
        """Write a dataset to the output and return its path.

        Parameters
        ----------
        obj
            What to write; its type depends on the dataset.
        datasetType
            Its name.
        dataId
            Data id; what is missing is taken from the registry.
        doBackup
            Keep an earlier file as `name~1`, earlier ones as `~2` and so on.

        Raises
        ------
        OutputError
            There is no output, or it cannot be written.
        UsageError
            Unknown dataset or key, or one that is never written.
        """
        kind, part = split_name(self._name(datasetType))
        if part:
            raise UsageError(f"'{datasetType}' is a part of dataset '{kind.name}' and cannot be written alone")
        path = self.write_path(datasetType, dataId, **keys)
        assert self._output is not None
        self._output.prepare()
        if doBackup:
            back_up(path)
        write_file(kind.storage, path, obj)
        return path

    def path(self, datasetType: str, dataId: Mapping[str, object] | None = None, **keys: object) -> Path:
        """Return where the file of a dataset is; raises as `get`."""
        kind, _ = split_name(self._name(datasetType))
        return self._lookup.find(kind, self._data_id(dataId, keys))[0]

    def write_path(self, datasetType: str, dataId: Mapping[str, object] | None = None, **keys: object) -> Path:
        """Return where `put` would write a dataset; nothing is made on disk.

        Raises
        ------
        OutputError
            There is no output.
        """
        kind, _ = split_name(self._name(datasetType))
        if self._output is None:
            raise OutputError(
                f"Cannot write '{datasetType}': this butler has no output", remedy="Give outputs=... when making it"
            )
        complete = self._lookup.complete(self._data_id(dataId, keys), kind.key_types)
        return self._output.root / kind.path(complete)

    def datasetExists(  # noqa: N802
        self, datasetType: str, dataId: Mapping[str, object] | None = None, **keys: object
    ) -> bool:
        """Return whether `get` would find something; False for data ids that nothing is registered for.

        Raises
        ------
        UsageError
            Unknown dataset or key.
        """
        name = self._name(datasetType)
        data_id = self._data_id(dataId, keys)
        try:
            if name in COMPUTED:
                self._lookup.complete(data_id, COMPUTED[name][0])
            else:
                self._lookup.find(split_name(name)[0], data_id)
        except InputError:
            return False
        return True

    def queryMetadata(  # noqa: N802
        self,
        datasetType: str,
        format: str | Sequence[str],
        dataId: Mapping[str, object] | None = None,
        **keys: object,
    ) -> list[Any]:
        """Return the distinct values of one key, or tuples of several, of the registered exposures.

        For kinds of calibrations their registry of calibrations is asked.
        """
        kind, _ = split_name(self._name(datasetType))
        wanted = (format,) if isinstance(format, str) else tuple(format)
        where = self._data_id(dataId, keys)
        is_calib = kind.name in CALIB_KINDS
        table = kind.name if is_calib else "raw"
        registries = self._lookup.calib_registries if is_calib else self._lookup.registries
        if not registries:
            raise MissingInputError("There is no registry to ask", remedy="Ingest files first")
        rows = registries[0].query(table, wanted, where)
        return [row[0] for row in rows] if isinstance(format, str) else rows

    def getKeys(self, datasetType: str | None = None, level: str | None = None, tag: object = None) -> dict[str, type]:  # noqa: N802
        """Return the keys of a dataset's data id with their types; all keys if no dataset is given."""
        del tag
        if datasetType is None:
            return dict(ALL_KEYS)
        types = key_types_of(split_name(self._name(datasetType))[0])
        return {key: kind for key, kind in types.items() if key not in _removed_keys(level)}

    def subset(
        self,
        datasetType: str,
        level: str | None = None,
        dataId: Mapping[str, object] | None = None,
        **keys: object,
    ) -> ButlerSubset:
        """Return references to all registered exposures that match; whether the files exist is not tested."""
        name = self._name(datasetType)
        data_id = self._data_id(dataId, keys)
        removed = _removed_keys(level)
        found: dict[tuple[object, ...], DataId] = {}
        for full in self._lookup.expand([data_id]).found:
            kept: DataId = {key: value for key, value in full.items() if key not in removed}
            found.setdefault(tuple(kept.values()), kept)
        return ButlerSubset([DataRef(self, name, level or "sensor", kept) for kept in found.values()])

    def dataRef(  # noqa: N802
        self,
        datasetType: str,
        level: str | None = None,
        dataId: Mapping[str, object] | None = None,
        **keys: object,
    ) -> DataRef:
        """Return the one reference that matches.

        Raises
        ------
        UsageError
            None or several match.
        """
        found = self.subset(datasetType, level, dataId, **keys)
        if len(found) != 1:
            raise UsageError(f"{len(found)} exposures match { ({**(dataId or {}), **keys}) }; exactly one must")
        return found[0]

    def defineAlias(self, alias: str, datasetType: str) -> None:  # noqa: N802
        """Let `@alias` (also `@alias_wcs` and so on) stand for a dataset.

        Raises
        ------
        UsageError
            The dataset is unknown, or the alias is in use or contains `@` inside.
        """
        name = "@" + alias.removeprefix("@")
        if "@" in name[1:] or len(name) == 1:
            raise UsageError(f"Bad alias '{alias}'")
        target = self._name(datasetType)
        split_name(target)
        clash = next((known for known in self._aliases if known.startswith(name) or name.startswith(known)), None)
        if clash is not None:
            raise UsageError(f"Alias '{name}' is in use or too like '{clash}'")
        self._aliases[name] = target

    def exposures(self, data_id: Mapping[str, object]) -> list[DataId]:
        """Return all registry columns of the exposures that match, ordered by visit and ccd.

        Raises
        ------
        UnknownDataIdError
            There is none; the message says what is near.
        """
        checked = self._lookup.check_keys(data_id)
        rows = self._lookup.exposures(checked)
        if not rows:
            raise self._lookup.unknown(checked)
        return rows

    def completeness(self, ids: Iterable[DataId]) -> list[VisitCompleteness]:
        """Return which CCDs are registered for the visits that any of the ids stands for."""
        visits = {visit for data_id in ids for visit in self.queryMetadata("raw", "visit", data_id)}
        return [] if not visits else completeness(self._lookup.registries[0], visits)

    def expand(self, ids: Iterable[DataId]) -> Expansion:
        """Return the exposures whose raw files exist that the ids of a command line stand for (see `parse_ids`)."""
        return self._lookup.expand(ids, DATASETS["raw"])


def _removed_keys(level: str | None) -> frozenset[str]:
    if level is None:
        return frozenset()
    if level not in LEVELS:
        raise UsageError(f"Unknown level '{level}'; allowed are {', '.join(LEVELS)}", remedy=suggestion(level, LEVELS))
    return LEVELS[level]
