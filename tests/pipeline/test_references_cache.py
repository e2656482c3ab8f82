"""Reference shards in memory: read once, given up beyond the bound, read again when their file is another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hscbox.butler.butler import Butler
from hscbox.machine.files import sha256_file
from hscbox.pipeline.references import References
from hscbox.products.reference_shards import make_reference_catalog, write_shards

NAME = "stars"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return an input repository with a catalogue of eight shards."""
    root = tmp_path / "in"
    (root / "ref_cats").mkdir(parents=True)
    (root / "_mapper").write_text("lsst.obs.hsc.HscMapper\n")
    ra, dec = (axis.ravel() for axis in np.meshgrid(np.arange(30.0, 36.0, 0.05), np.arange(-5.0, 1.0, 0.05)))
    flux = {"r": np.full(len(ra), 1e-5)}
    write_shards(root / "ref_cats", NAME, make_reference_catalog(np.arange(len(ra)) + 1, ra, dec, flux, flux))
    return root


class Reader:
    """References whose reading and noting is written down."""

    def __init__(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.noted: list[tuple[str, Path, str]] = []
        butler = Butler(inputs=repository, quiet=True)
        get = butler.get

        def got(dataset: str, *words: Any, **keys: Any) -> Any:
            if dataset == "ref_cat":
                self.read.append(words[0]["pixel_id"])
            return get(dataset, *words, **keys)

        monkeypatch.setattr(butler, "get", got)
        self.references = References(butler, lambda *noted: self.noted.append(noted))
        self.shards = self.references.open(NAME)
        self.pixels = sorted(int(path.stem) for path in (repository / "ref_cats" / NAME).glob("[0-9]*.fits"))

    def use(self, pixels: list[int]) -> list[str]:
        """Use shards for a CCD, twice each as the calibration does, and return which were read for it."""
        self.references.forget(self.bound)
        self.read.clear()
        for pixel in [*pixels, *pixels]:
            assert self.shards.read(pixel) is not None
        return self.read

    bound = 1 << 30


@pytest.fixture
def reader(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(repository, monkeypatch)


def test_the_next_ccd_reads_nothing_and_notes_everything(reader, repository):
    first = reader.pixels[:3]
    assert reader.use(first) == [str(pixel) for pixel in first]
    reader.noted.clear()
    assert reader.use(first) == []
    paths = {pixel: repository / "ref_cats" / NAME / f"{pixel}.fits" for pixel in first}
    assert set(reader.noted) == {(f"ref_cat:{NAME}:{p}", path, sha256_file(path)) for p, path in paths.items()}
    assert reader.shards.read(1) is None


def test_the_bound_holds_and_the_last_used_stay(reader):
    sizes = {}
    for pixel in reader.pixels[:3]:
        before = reader.references.nbytes
        reader.shards.read(pixel)
        sizes[pixel] = reader.references.nbytes - before
    a, b, c = sizes
    reader.bound = sizes[b] + sizes[c]
    assert reader.use([a, c]) == [str(a)]
    # Within a CCD nothing is given up; before the next one the one that was not used goes.
    assert reader.references.nbytes == sum(sizes.values())
    reader.bound = sizes[a] + sizes[c]
    assert reader.use([a, c]) == []
    assert reader.references.nbytes == reader.bound
    reader.bound = 0
    assert reader.use([b]) == [str(b)]
    assert reader.references.nbytes == sizes[b]


def test_another_file_of_the_same_name_is_noticed(reader, repository):
    pixel = reader.pixels[0]
    path = repository / "ref_cats" / NAME / f"{pixel}.fits"
    reader.use([pixel])
    status = path.stat()
    # The same bytes and times, as a copy keeps them: only the inode tells.
    copy = path.with_suffix(".new")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)
    assert reader.use([pixel]) == [str(pixel)]
    assert reader.use([pixel]) == []
    # Written in place: only the time tells.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert reader.use([pixel]) == [str(pixel)]
