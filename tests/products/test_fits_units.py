"""Cards, checksums, tables and archives against astropy and by round trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fixtures.strict_fits import open_checked

from hscbox.fits.archive import ArchiveReader, ArchiveWriter
from hscbox.fits.cards import card, metadata_cards
from hscbox.fits.metadata import Metadata
from hscbox.fits.read import read_units
from hscbox.fits.structure import word_sum
from hscbox.fits.tables import Column, VariableArray, read_table, table_unit
from hscbox.fits.write import image_unit, primary_unit, write_units


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SHORT", 1),
        ("LONGER_THAN_8", -17),
        ("FLAG", True),
        ("CD1_1", -1.2345678901234567e-05),
        ("TINY", 5e-324),
        ("TEXT", "it's"),
        ("EMPTY", ""),
        ("BLANK_END", "x"),
        ("LONG", "a'b" * 60),
        ("LONG_NAME_AND_TEXT", "0123456789" * 15),
        ("QUOTES", "'" * 130),
    ],
)
def test_cards_are_read_back_by_astropy(key: str, value: object) -> None:
    text = card(key, value, "a comment")  # type: ignore[arg-type]
    assert len(text) % 80 == 0
    header = fits.Header.fromstring(text)
    assert header[key] == value and type(header[key]) is type(value)


def test_not_finite_numbers() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        card("X", float("nan"))
    assert metadata_cards(Metadata({"A": float("inf"), "B": 2})) == [card("B", 2)]


def test_lists_become_repeated_cards(tmp_path: Path) -> None:
    metadata = Metadata({"COLORS": ["g", "r"], "N": 3})
    header = fits.Header.fromstring("".join(metadata_cards(metadata)))
    assert [item.value for item in header.cards if item.keyword == "COLORS"] == ["g", "r"]
    write_units(tmp_path / "a.fits", [primary_unit(metadata_cards(metadata))])
    assert read_units(tmp_path / "a.fits")[0].metadata(lambda key: key not in metadata) == metadata


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (37, 101)])
def test_checksums_are_accepted_by_astropy(tmp_path: Path, dtype: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    array = (rng.normal(size=shape) * 50).astype(dtype)
    write_units(tmp_path / "a.fits", [primary_unit([card("NAME", "x")]), image_unit(array)])
    with open_checked(tmp_path / "a.fits") as hdus:
        assert np.array_equal(hdus[1].data, array)
        assert "CHECKSUM" in hdus[0].header and "DATASUM" in hdus[1].header
    back = read_units(tmp_path / "a.fits")[1].array()
    assert np.array_equal(back, array) and back.dtype == array.dtype


def test_word_sum_carries() -> None:
    assert word_sum(b"\xff\xff\xff\xff\x00\x00\x00\x02") == 2
    assert word_sum(b"\x01\x02\x03\x04\x05") == 0x01020304 + 0x05000000


def columns() -> list[Column]:
    return [
        Column("id", "K", np.array([2**40, -1]), doc="number"),
        Column("xy", "2D", np.array([[1.5, 2.5], [3.5, 4.5]]), "pixel"),
        Column("name", "8A", ["ab", ""]),
        Column("one", "1E", np.array([0.25, 0.5]), kind="Array"),
        Column("pixels", "QE", VariableArray(np.arange(5.0), np.array([3, 2]))),
    ]


def test_table_is_read_by_astropy(tmp_path: Path) -> None:
    write_units(tmp_path / "t.fits", [primary_unit(), table_unit(columns(), [card("LAST", 1)])])
    with open_checked(tmp_path / "t.fits") as hdus:
        data, header = hdus[1].data, hdus[1].header
        assert data["id"].tolist() == [2**40, -1] and data["xy"].tolist() == [[1.5, 2.5], [3.5, 4.5]]
        assert data["name"].tolist() == ["ab", ""]
        assert [row.tolist() for row in data["pixels"]] == [[0, 1, 2], [3, 4]]
        assert [header[f"TFORM{k}"] for k in range(1, 6)] == ["1K", "2D", "8A", "1E", "1QE(3)"]
        assert [header[f"TCCLS{k}"] for k in range(1, 6)] == ["Scalar", "Array", "String", "Array", "Array"]
        assert header["TUNIT2"] == "pixel" and header["TDOC1"] == "number" and header["LAST"] == 1


def test_table_round_trip(tmp_path: Path) -> None:
    write_units(tmp_path / "t.fits", [primary_unit(), table_unit(columns(), [])])
    table = read_table(read_units(tmp_path / "t.fits")[1])
    assert table["xy"].tolist() == [[1.5, 2.5], [3.5, 4.5]] and table["name"].tolist() == ["ab", ""]
    assert [part.tolist() for part in table["pixels"].split()] == [[0, 1, 2], [3, 4]]


def test_archive_shares_tables_and_keeps_rows_apart(tmp_path: Path) -> None:
    archive = ArchiveWriter()
    owner = archive.reserve()
    first = archive.add("Span", "m", [[Column("y", "J", [1, 2, 3])]])
    second = archive.add("Span", "m", [[Column("y", "J", [4])]])
    archive.add("Owner", "m", [[Column("part", "J", [first])], [Column("y", "J", [7, 8])]], owner)
    ids = archive.reserve(2) + np.arange(2)
    archive.add_many("Span", "m", ids, [[Column("y", "J", [9, 10, 11])]], [np.array([1, 2])])
    write_units(tmp_path / "a.fits", [primary_unit(), *archive.units()])
    reader = ArchiveReader(read_units(tmp_path / "a.fits")[1:])
    assert (owner, first, second) == (1, 2, 3)
    assert reader.get(first).tables[0]["y"].tolist() == [1, 2, 3]
    assert reader.get(second).tables[0]["y"].tolist() == [4]
    assert reader.get(int(ids[1])).tables[0]["y"].tolist() == [10, 11]
    stored = reader.get(owner)
    assert (stored.name, stored.module) == ("Owner", "m")
    assert stored.tables[0]["part"].tolist() == [first] and stored.tables[1]["y"].tolist() == [7, 8]
    with open_checked(tmp_path / "a.fits") as hdus:
        assert [len(hdu.data) for hdu in hdus[1:]] == [6, 9, 1]
        assert [hdu.header["AR_NAME"] for hdu in hdus[2:]] == ["Span", "Owner"]
    assert 99 not in reader.blocks
