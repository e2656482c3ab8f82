"""`repositoryCfg.yaml`, the file that makes a directory an output repository and names its parents.

The layout is that of lsst/daf_persistence 460649bd. Reading never executes the `python/name` tag; it is the
text after its colon.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..errors import DamagedInputError, HscboxError, MissingInputError, UnsafeInputError
from ..machine.files import write_bytes

__all__ = ["CFG_NAME", "MAPPER", "RepositoryCfg", "read_cfg", "relative_to_repository", "write_cfg"]

CFG_NAME = "repositoryCfg.yaml"
MAPPER = "lsst.obs.hsc.hscMapper.HscMapper"

_TAG = "!RepositoryCfg_v1"
_NAME_TAG = "tag:yaml.org,2002:python/name:"
_MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 50
_MAX_PARENTS = 100


@dataclass(frozen=True)
class RepositoryCfg:
    """What a repository says about itself.

    Attributes
    ----------
    mapper
        Name of the mapper class.
    parents
        Paths of parents: relative to the real path of the repository, or absolute. A `RepositoryCfg` stands for
        a parent without a configuration file of its own; its `root` is its path.
    root
        Path of a nested entry; None at top level.
    calib_root
        The calibration directory that was chosen with `--calib`, if any.
    other_arguments, policy
        What else `_mapperArgs` holds, and `_policy`: of no meaning here, and kept for those who wrote it.
    """

    mapper: str = MAPPER
    parents: tuple[str | RepositoryCfg, ...] = ()
    root: str | None = None
    calib_root: str | None = None
    other_arguments: dict[str, object] = field(default_factory=dict, hash=False)
    policy: object = field(default=None, hash=False)


@dataclass(frozen=True)
class _PythonName:
    """The name of a class in the written form; one object for the mappers of all entries gives the anchor of 2017."""

    name: str


class _Entry(dict[str, object]):
    """A mapping written with the application tag."""


class _Writer(yaml.SafeDumper):
    pass


_Writer.add_representer(_Entry, lambda writer, entry: writer.represent_mapping(_TAG, entry))
_Writer.add_representer(_PythonName, lambda writer, value: writer.represent_scalar(_NAME_TAG + value.name, ""))


class _Reader(yaml.SafeLoader):
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Merged mappings can double with every line.
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise DamagedInputError("mappings that are merged by '<<' are not admitted")


def _construct_entry(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    if not isinstance(node, yaml.MappingNode):
        raise DamagedInputError("a repository entry is not a mapping")
    return _Entry(loader.construct_mapping(node, deep=True))  # type: ignore[arg-type]


def _refuse(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> object:
    del loader
    raise UnsafeInputError(f"the tag {suffix!r} in line {node.start_mark.line + 1} is not admitted")


_Reader.add_constructor(_TAG, _construct_entry)
_Reader.add_multi_constructor(_NAME_TAG, lambda loader, suffix, node: _PythonName(suffix))
_Reader.add_multi_constructor("tag:yaml.org,2002:python/", _refuse)
_Reader.add_multi_constructor("!", _refuse)


def read_cfg(path: Path) -> RepositoryCfg:
    """Read a `repositoryCfg.yaml`.

    Raises
    ------
    MissingInputError
        The file cannot be read.
    DamagedInputError
        It is not the YAML that is expected.
    UnsafeInputError
        It has tags that would run code.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DamagedInputError(f"{path} is larger than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DamagedInputError(f"{path} is not a text file: {error}") from error
    try:
        return _interpret(yaml.load(text, Loader=_Reader), 0, itertools.count(1))  # _Reader is a SafeLoader
    except HscboxError as error:
        raise type(error)(f"{path}: {error.message}", remedy="Remove or mend this file") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DamagedInputError(f"{path} is not valid YAML: {reason}", remedy="Remove or mend it") from error


def _interpret(value: object, depth: int, counter: Iterator[int]) -> RepositoryCfg:
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        raise DamagedInputError("a repository entry is not a mapping")
    mapper, root = value.get("_mapper"), value.get("_root")
    if isinstance(mapper, _PythonName):
        mapper = mapper.name
    arguments = value.get("_mapperArgs") or {}
    listed = value.get("_parents") or []
    if not isinstance(arguments, dict) or not isinstance(listed, list):
        raise DamagedInputError("'_mapperArgs' must be a mapping and '_parents' a list")
    if not isinstance(root, str | None) or not isinstance(mapper, str | None):
        raise DamagedInputError("'_root' and '_mapper' must be texts")
    calib = arguments.get("calibRoot")
    if not isinstance(calib, str | None):
        raise DamagedInputError("'calibRoot' must be a text")
    parents: list[str | RepositoryCfg] = []
    for parent in listed:
        # Entries that repeat each other by YAML aliases would be more than any computer can walk through.
        if next(counter) > _MAX_PARENTS:
            raise DamagedInputError(f"there are more than {_MAX_PARENTS} parents")
        nested = parent if isinstance(parent, str) else _interpret(parent, depth + 1, counter)
        if isinstance(nested, RepositoryCfg) and nested.root is None:
            raise DamagedInputError("a nested entry of '_parents' lacks '_root'")
        parents.append(nested)
    others = {key: argument for key, argument in arguments.items() if key != "calibRoot"}
    return RepositoryCfg(mapper or MAPPER, tuple(parents), root, calib, others, value.get("_policy"))


def write_cfg(path: Path, cfg: RepositoryCfg) -> None:
    """Write `cfg` atomically, unless the file already says the same."""
    # default_flow_style=None, lists without nested entries in one line, was the default of the original's library.
    text = yaml.dump(_entry(cfg, {}), Dumper=_Writer, default_flow_style=None, width=100_000).encode()
    if not path.is_file() or path.read_bytes() != text:
        write_bytes(path, text)


def _entry(cfg: RepositoryCfg, mappers: dict[str, _PythonName]) -> _Entry:
    calib = {} if cfg.calib_root is None else {"calibRoot": cfg.calib_root}
    return _Entry(
        _mapper=mappers.setdefault(cfg.mapper, _PythonName(cfg.mapper)),
        _mapperArgs=calib | cfg.other_arguments,
        _parents=[parent if isinstance(parent, str) else _entry(parent, mappers) for parent in cfg.parents],
        _policy=cfg.policy,
        _root=cfg.root,
        dirty=True,
    )


def relative_to_repository(target: Path, repository: Path) -> str:
    """Return the path from the real place of `repository` to `target`, so that both can be moved together."""
    absolute = os.path.abspath(target)  # noqa: PTH100  (symbolic links in the given path are kept)
    return os.path.relpath(absolute, os.path.realpath(repository))
