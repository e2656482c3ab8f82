"""The one way files are written: temporary sibling, flush, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import HscboxError, MissingInputError, OutputError, TemporaryError

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
    `path` stays as it was. The result has the permissions that the umask grants, not those of a temporary file.

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
        descriptor, name = tempfile.mkstemp(
            dir=final.parent, prefix=f".{final.stem}-", suffix="".join(final.suffixes[-1:])
        )
    except OSError as error:
        raise output_failure(final, error) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(final)
    except OSError as error:
        raise output_failure(final, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    # There is no call that reads the umask without setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


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
