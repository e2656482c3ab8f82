from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from hscbox.catalog.footprint import Footprint
from hscbox.catalog.schema import VARIABLE, Field, Schema
from hscbox.catalog.source_catalog import SourceCatalog
from hscbox.errors import DamagedInputError, MissingInputError
from hscbox.products.catalog import read_catalog, write_catalog, write_schema


def _units(path: Path) -> list[tuple[list[str], int]]:
    """Return for each HDU its cards and where its data begin, found without astropy."""
    content = path.read_bytes()
    units, start = [], 0
    while start < len(content):
        cards, place = [], start
        while not cards or cards[-1] != "END":
            cards.append(content[place : place + 80].decode("ascii").rstrip())
            place += 80
        data = start + -(-(place - start) // 2880) * 2880
        values = {card[:8].rstrip(): card[10:30].strip() for card in cards}
        axes = [int(values[f"NAXIS{axis + 1}"]) for axis in range(int(values["NAXIS"]))]
        size = int(np.prod(axes)) if axes else 0
        units.append((cards, data))
        start = data + -(-(size + int(values.get("PCOUNT", 0))) // 2880) * 2880
    return units


def _same_footprint(one: Footprint | None, other: Footprint | None) -> bool:
    if one is None or other is None:
        return one is other
    same = np.array_equal(one.spans, other.spans) and np.array_equal(one.peaks, other.peaks)
    if one.heavy is None or other.heavy is None:
        return same and one.heavy is other.heavy
    names = ("image", "mask", "variance")
    return same and all(np.array_equal(getattr(one.heavy, n), getattr(other.heavy, n)) for n in names)


def test_round_trip(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    back = read_catalog(path)
    assert back.table_type == "SOURCE"
    assert list(back.schema) == list(catalog.schema)
    assert back.schema.aliases == catalog.schema.aliases
    assert back.metadata == catalog.metadata
    assert back.metadata.comment("NOISE_SOURCE") == "source of the noise"
    for name in catalog.schema.names():
        np.testing.assert_array_equal(back[name], catalog[name])
        assert back[name].dtype == catalog[name].dtype
    assert all(map(_same_footprint, back.footprints, catalog.footprints))
    again = tmp_path / "again.fits"
    write_catalog(again, back)
    assert again.read_bytes() == path.read_bytes()
    assert read_catalog(path, footprints=False).footprints == [None] * 7


def test_flag_bits_decoded_by_hand(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    cards, start = _units(path)[1]
    content = path.read_bytes()
    width = int(next(card for card in cards if card.startswith("NAXIS1"))[10:30])
    flags = [card[10:].strip().strip("'").rstrip() for card in cards if card.startswith("TFLAG")]
    assert flags == [field.name for field in catalog.schema if field.is_flag]
    assert len(flags) == 11
    for row in range(len(catalog)):
        for bit, name in enumerate(flags):
            byte = content[start + row * width + bit // 8]
            assert bool(byte & (128 >> bit % 8)) == catalog[name][row]
        # The bits that fill the second byte are zero; the id follows, big-endian.
        assert content[start + row * width + 1] & 0b11111 == 0
        assert int.from_bytes(content[start + row * width + 2 :][:8], "big") == catalog["id"][row]


def test_astropy_reads_the_same(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            table = hdus[1].data
            header = hdus[1].header
            flags = [field.name for field in catalog.schema if field.is_flag]
            assert [header[f"TFLAG{number}"] for number in range(1, 12)] == flags
            np.testing.assert_array_equal(table["flags"], np.stack([catalog[name] for name in flags], axis=1))
            for field in catalog.schema:
                if not field.is_flag:
                    np.testing.assert_array_equal(table[field.name], catalog[field.name])
            aliases = [card.value for card in header.cards if card.keyword == "ALIAS"]
            assert aliases == [f"{a}:{b}" for a, b in sorted(catalog.schema.aliases.items())]
            assert header["TDOC9"] == "it's a long description; " * 8 + "end"
            assert header["BASE_CIRCULARAPERTUREFLUX_RADII"] == 3.0
            assert header["NOISE_OFFSET"] == 1e-17
            # Archive: spans and heavy pixels of the fifth row through the index, by astropy alone.
            index, footprint = hdus[2].data, catalog.footprints[4]
            part = {int(row["cat.persistable"]): row for row in index if row["id"] == table["footprint"][4]}
            link = hdus[2 + part[0]["cat.archive"]].data["id"][part[0]["row0"]]
            spans = next(row for row in index if row["id"] == link)
            assert (spans["name"], spans["module"]) == ("SpanSet", "lsst.afw.geom")
            rows = hdus[2 + spans["cat.archive"]].data[spans["row0"] : spans["row0"] + spans["nrows"]]
            assert [tuple(row) for row in rows] == [tuple(row) for row in footprint.spans.tolist()]
            heavy = hdus[2 + part[2]["cat.archive"]].data[part[2]["row0"]]
            np.testing.assert_array_equal(heavy["image"], footprint.heavy.image)
            np.testing.assert_array_equal(heavy["mask"], footprint.heavy.mask)
            assert part[2]["name"] == "HeavyFootprintF"
            assert header["AR_HDU"] == 3
            assert hdus[2].header["AR_NCAT"] == len(hdus) - 2
            assert [hdu.header["AR_CATN"] for hdu in hdus[2:]] == list(range(len(hdus) - 2))
            assert {hdu.header["EXTTYPE"] for hdu in hdus[3:]} == {"ARCHIVE_DATA"}


def test_card_order_is_that_of_afw(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    cards = _units(path)[1][0]
    keywords = [card[:8].rstrip() for card in cards]
    assert keywords[:8] == ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS"]
    assert keywords[8:11] == ["TTYPE1", "TFORM1", "FLAGCOL"]
    assert cards[8][10:20] == "'flags   '"
    # The cards mention fields in the order of the schema, flags among the others.
    named = [card for card in cards if re.match(r"(TTYPE|TFLAG)\d", card)][1:]
    assert [card[10:].split("'")[1].rstrip() for card in named] == [*catalog.schema.names(), "footprint"]
    assert [card[:5] for card in named[:5]] == ["TTYPE"] * 4 + ["TFLAG"]
    first = keywords.index("TTYPE3")
    assert keywords[first : first + 5] == ["TTYPE3", "TFORM3", "TDOC3", "TUNIT3", "TCCLS3"]
    assert cards[first + 4][10:20] == "'Angle   '"
    numbers = [int(match[1]) for card in cards if (match := re.match(r"TTYPE(\d+)", card))]
    assert numbers == list(range(1, len(numbers) + 1))
    tail = [card for card in cards if re.match(r"ALIAS|HIERARCH|AR_HDU|AFW_TYPE|DATASUM|CHECKSUM|END", card)]
    stems = [card.removeprefix("HIERARCH ").split("=")[0].split()[0] for card in tail]
    assert stems == [
        *["ALIAS"] * 3,
        *["base_CircularApertureFlux_radii"] * 3,
        *["NOISE_SOURCE", "NOISE_SEED_MULTIPLIER", "NOISE_OFFSET"],
        *["AR_HDU", "AFW_TABLE_VERSION", "AFW_TYPE", "DATASUM", "CHECKSUM", "END"],
    ]


def test_schema_file_has_no_rows_and_an_empty_archive(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_schema(path, catalog.schema, catalog.metadata)
    back = read_catalog(path)
    assert len(back) == 0
    assert back.schema == catalog.schema
    assert back.metadata == catalog.metadata
    with fits.open(path, checksum=True) as hdus:
        assert len(hdus) == 3
        assert (hdus[1].header["NAXIS2"], hdus[2].header["NAXIS2"], hdus[2].header["AR_NCAT"]) == (0, 0, 1)
        assert hdus[0].header["BITPIX"] == 16
        assert hdus[1].columns.names[-1] == "footprint"


def test_base_table_without_flags_has_no_type(tmp_path: Path) -> None:
    cat = SourceCatalog(Schema([Field("a", "D"), Field("b", "I", array=True)]), 2, table_type="")
    cat["a"] = [1.5, -2.0]
    path = tmp_path / "base.fits"
    write_catalog(path, cat)
    back = read_catalog(path)
    assert back.table_type == ""
    assert back["b"].shape == (2, 1)
    with fits.open(path) as hdus:
        assert len(hdus) == 2
        assert "AFW_TYPE" not in hdus[1].header
        assert "FLAGCOL" not in hdus[1].header
        assert hdus[1].header["AFW_TABLE_VERSION"] == 1


def test_source_catalogue_must_begin_with_the_minimal_fields(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begins with id"):
        write_catalog(tmp_path / "x.fits", SourceCatalog(Schema([Field("id", "L")]), 1))
    assert not list(tmp_path.iterdir())


def test_metadata_that_fits_cannot_hold_is_left_out(catalog: SourceCatalog, tmp_path: Path) -> None:
    catalog.metadata["NOTANUM"] = float("nan")
    catalog.metadata["TTYPE1"] = "hostile"
    catalog.metadata["LONG"] = "o'" * 100
    write_catalog(tmp_path / "x.fits", catalog)
    metadata = read_catalog(tmp_path / "x.fits").metadata
    assert "NOTANUM" not in metadata
    assert "TTYPE1" not in metadata
    assert metadata["LONG"] == "o'" * 100


def test_unusual_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays = np.empty(2, dtype=object)
    arrays[:] = [np.array([1.0, 2.0], "f4"), np.zeros(0, "f4")]
    columns = [
        fits.Column("unsigned", "I", bzero=32768, array=np.array([0, 65535], dtype=np.uint16)),
        fits.Column("wide", "J", bzero=2147483648, array=np.array([0, 4294967295], dtype=np.uint32)),
        fits.Column("short", "I", array=np.array([-3, 4])),
        fits.Column("scaled", "J", array=np.array([0, 3])),
        fits.Column("logical", "L", array=np.array([True, False])),
        fits.Column("complex", "C", array=np.array([1j, 2.0])),
        fits.Column("bytes", "3B", array=np.array([[1, 2, 3], [255, 0, 7]], dtype=np.uint8)),
        fits.Column("ragged", "PE()", array=arrays),
        fits.Column("text", "5A", array=["ab", "cde"]),
        fits.Column("bits", "4X", array=np.ones((2, 4), dtype=bool)),
    ]
    path = tmp_path / "odd.fits"
    table = fits.BinTableHDU.from_columns(columns)
    table.header["TSCAL4"], table.header["TZERO4"] = 0.5, 10.0
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    cat = read_catalog(path)
    assert cat["unsigned"].tolist() == [0, 65535]
    assert cat["wide"].tolist() == [0, 4294967295]
    assert cat["short"].tolist() == [-3, 4]
    assert cat["scaled"].tolist() == [10.0, 11.5]
    assert cat["logical"].tolist() == [True, False]
    assert cat["bytes"].tolist() == [[1, 2, 3], [255, 0, 7]]
    assert [array.tolist() for array in cat["ragged"]] == [[1.0, 2.0], []]
    assert cat["text"].tolist() == ["ab", "cde"]
    assert "complex" not in cat
    assert "bits" not in cat
    assert "complex" in caplog.text
    write_catalog(tmp_path / "again.fits", cat)
    again = read_catalog(tmp_path / "again.fits")
    assert again.schema.find("ragged").size == VARIABLE
    assert [array.tolist() for array in again["ragged"]] == [[1.0, 2.0], []]
    assert again["unsigned"].tolist() == [0, 65535]
    assert again["logical"].tolist() == [True, False]


def test_variable_unsigned_numbers_and_texts(tmp_path: Path) -> None:
    cat = SourceCatalog(Schema([Field("n", "U", size=VARIABLE), Field("t", "String", size=VARIABLE)]), 3, table_type="")
    numbers = np.empty(3, dtype=object)
    numbers[:] = [np.array(values, np.uint16) for values in ([0, 40000, 65535], [], [7])]
    cat.adopt("n", numbers)
    cat.adopt("t", np.array(["ab", "", "cde"], dtype=object))
    write_catalog(tmp_path / "x.fits", cat)
    back = read_catalog(tmp_path / "x.fits")
    assert [row.tolist() for row in back["n"]] == [[0, 40000, 65535], [], [7]]
    assert back["n"][0].dtype == np.uint16 and back["t"].tolist() == ["ab", "", "cde"]
    # 32768 less, big-endian, as the standard wants unsigned numbers.
    assert b"\x80\x00\x1c\x40\x7f\xff\x80\x07" in (tmp_path / "x.fits").read_bytes()


def _damage(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) >= 1
    # Wrong on purpose in one place only: the checksums go, so that the reader has to find it by itself.
    content = content.replace(old, new, 1)
    for keyword in (b"CHECKSUM", b"DATASUM "):
        content = re.sub(keyword + b"=.{71}", b" " * 80, content)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"TFORM1  = '11X", b"TFORM1  = '10X", "names 11 flags"),
        (b"FLAGCOL =                    1", b"FLAGCOL =                    2", "names 11 flags"),
        (b"TFORM2  = '1K", b"TFORM2  = '2K", "its columns make"),
        (b"TFORM2  = '1K", b"TFORM2  = '1?", "format '1\\?'"),
        (b"TTYPE5  = 'parent", b"TTYPE5  = 'id    ", "two fields named id"),
        (b"AR_NCAT =                    5", b"AR_NCAT =                    9", "archive tables"),
    ],
)
def test_contradictory_headers_are_refused(
    catalog: SourceCatalog, tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    _damage(path, old, new)
    with pytest.raises(DamagedInputError, match=message):
        read_catalog(path)


def test_damaged_and_missing_files(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    with pytest.raises(MissingInputError):
        read_catalog(path)
    write_catalog(path, catalog)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-2880])
    with pytest.raises(DamagedInputError):
        read_catalog(path)
    content[_units(path)[1][1] + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedInputError, match="checksum"):
        read_catalog(path)
    fits.PrimaryHDU(np.zeros((2, 3))).writeto(path, overwrite=True)
    with pytest.raises(DamagedInputError, match="no table"):
        read_catalog(path)


def test_footprint_that_the_archive_does_not_have(catalog: SourceCatalog, tmp_path: Path) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    start = _units(path)[1][1]
    content = bytearray(path.read_bytes())
    width = int(re.search(rb"NAXIS1  = +(\d+)", content)[1])
    assert int.from_bytes(content[start + width - 4 : start + width], "big") == 1
    content[start + width - 1] = 77
    path.write_bytes(content)
    _damage(path, b"", b"")
    with pytest.raises(DamagedInputError, match="footprint 77"):
        read_catalog(path)


@pytest.mark.parametrize("error", [ValueError, KeyError, AttributeError, OverflowError])
def test_whatever_goes_wrong_inside_names_the_file(
    catalog: SourceCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*rest: object) -> None:
        raise error("odd")

    write_catalog(tmp_path / "src.fits", catalog)
    monkeypatch.setattr("hscbox.products.catalog.decode_table", fail)
    with pytest.raises(DamagedInputError, match=r"src\.fits"):
        read_catalog(tmp_path / "src.fits")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"TFORM4  = '1D", b"TFORM4  = '1A"),
        (b"TTYPE5  = 'parent  '", b"TTYPE5  = '        '"),
        (b"TTYPE2  = 'id      '", b"TTYPE2  =          7"),
        (b"TFLAG1  = ", b"TFLAG0  = "),
    ],
)
def test_hostile_tables_never_raise_anything_else(
    catalog: SourceCatalog, tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "src.fits"
    write_catalog(path, catalog)
    _damage(path, old, new)
    with contextlib.suppress(DamagedInputError):
        read_catalog(path)
