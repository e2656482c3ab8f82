"""How files are written that a reader must never see half: temporary sibling, flush, fsync, rename.

All products, configurations, records, reports and exports go through here. Written otherwise, each for its reason:

- registries (`butler.registry`): by SQLite's transactions, in place, since they are added to; the simulator's own and
  copies of configurations are made in a temporary sibling like everything else;
- files that come into a repository (`butler.delivery`): a synced temporary copy, hard-linked into place, since unlike
  a rename a link never replaces what is there; or only a link, or a rename of the original;
- answers on their way (`refcat.partial`): appended to, so that an interrupted transfer can be continued;
- whole reference catalogues (`refcat.build`): files from here, in a new directory that is renamed at the end;
- empty files for locks (`refcat.parts`, `site.doctor`), and numba's cache of compiled loops.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import HscboxError, MissingInputError, OutputError, TemporaryError

__all__ = ["atomic_path", "output_failure", "sha256_file", "write_bytes"]

_FULL = {errno.ENOSPC, errno.EDQUOT}


def output_failure(path: Path, error: OSError) -> HscboxError:
    """Translate a failed write of `path` into the error a user should see."""
    if error.errno in _FULL:
        return TemporaryError(
            f"No space left to write {path}", remedy="Free space or choose another --output, then run again"
        )
    return OutputError(
        f"Cannot write {path}: {error.strerror or error}",
        remedy="Check that the output directory exists, is writable and is not mounted read-only",
    )


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block ends well.

    Directories are created as needed. When the block raises, the temporary file is removed and an earlier
    `path` stays as it was. The result has the permissions that the umask, or the directory's default access list,
    grants, and the group of a directory that hands its group on.

    Raises
    ------
    OutputError
        The file cannot be written.
    TemporaryError
        The disk is full.
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary_sibling(final)
    except OSError as error:
        raise output_failure(final, error) from error
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(final)
    except OSError as error:
        raise output_failure(final, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_sibling(final: Path) -> Path:
    # Not by tempfile, which makes files that only their owner can read: the system knows best what others may.
    path = final.with_name(f".{final.stem}-{secrets.token_hex(4)}{final.suffix}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    return path


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as lower-case hexadecimal.

    Raises
    ------
    MissingInputError
        The file cannot be opened.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MissingInputError(f"Cannot read {path}: {error.strerror or error}") from error
