from __future__ import annotations

import numpy as np
import pytest

from hscbox.catalog.schema import VARIABLE, Field, Schema


def _schema() -> Schema:
    schema = Schema([Field("base_PsfFlux_flux", "D", unit="count"), Field("base_PsfFlux_fluxSigma", "D")])
    schema.add_field("base_SdssCentroid_flag", "Flag")
    schema.add_field("base_SdssCentroid_xSigma", "F")
    schema.set_alias("slot_PsfFlux", "base_PsfFlux")
    schema.set_alias("slot_CalibFlux", "slot_PsfFlux")
    schema.set_alias("base_PsfFlux_flag_badCentroid", "base_SdssCentroid_flag")
    return schema


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("base_PsfFlux_flux", "base_PsfFlux_flux"),
        ("slot_PsfFlux_flux", "base_PsfFlux_flux"),
        ("slot_CalibFlux_fluxSigma", "base_PsfFlux_fluxSigma"),
        ("base_PsfFlux_flag_badCentroid", "base_SdssCentroid_flag"),
        ("slot_PsfFlux_flag_badCentroid", "base_SdssCentroid_flag"),
        ("slot_PsfFlux_instFlux", "base_PsfFlux_flux"),
        ("base_PsfFlux_instFluxErr", "base_PsfFlux_fluxSigma"),
        ("base_SdssCentroid_xErr", "base_SdssCentroid_xSigma"),
    ],
)
def test_names_aliases_and_later_spellings_resolve(name: str, field: str) -> None:
    assert _schema().resolve(name) == field
    assert name in _schema()


def test_old_spelling_finds_later_fields() -> None:
    schema = Schema([Field("base_PsfFlux_instFluxErr", "D"), Field("c_xErr", "F")])
    assert schema.resolve("base_PsfFlux_fluxSigma") == "base_PsfFlux_instFluxErr"
    assert schema.resolve("c_xSigma") == "c_xErr"


def test_the_longest_alias_wins_and_a_field_wins_over_aliases() -> None:
    schema = Schema([Field("a_x", "D"), Field("b_x", "D"), Field("slot_real", "D")])
    schema.set_alias("slot", "a")
    schema.set_alias("slot_S", "b")
    assert schema.resolve("slot_x") == "a_x"
    assert schema.resolve("slot_S_x") == "b_x"
    assert schema.resolve("slot_real") == "slot_real"


def test_circular_aliases_end() -> None:
    schema = Schema([Field("a", "D")], {"b": "c", "c": "b"})
    assert "b" not in schema


def test_unknown_name_lists_similar_ones() -> None:
    with pytest.raises(KeyError, match="base_PsfFlux_flux"):
        _schema().find("base_PsfFlux_flx")


def test_order_is_kept_and_names_are_unique() -> None:
    schema = _schema()
    assert schema.getOrderedNames()[2:] == ["base_SdssCentroid_flag", "base_SdssCentroid_xSigma"]
    with pytest.raises(ValueError, match="already"):
        schema.add_field("base_PsfFlux_flux", "D")


def test_prefixed_changes_both_sides_of_aliases() -> None:
    schema = _schema().prefixed("src_")
    assert schema.aliases["src_slot_PsfFlux"] == "src_base_PsfFlux"
    assert schema.resolve("src_slot_PsfFlux_flux") == "src_base_PsfFlux_flux"


@pytest.mark.parametrize(
    ("field", "dtype", "shape"),
    [
        (Field("a", "L"), "i8", (3,)),
        (Field("a", "I", size=2), "i4", (3, 2)),
        (Field("a", "D", array=True), "f8", (3, 1)),
        (Field("a", "Angle"), "f8", (3,)),
        (Field("a", "Flag"), "?", (3,)),
        (Field("a", "String", size=8), "U8", (3,)),
        (Field("a", "F", size=VARIABLE), "O", (3,)),
    ],
)
def test_new_columns(field: Field, dtype: str, shape: tuple[int, ...]) -> None:
    column = field.empty(3)
    assert column.dtype == np.dtype(dtype)
    assert column.shape == shape


def test_impossible_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="known are"):
        Field("a", "float")
    with pytest.raises(ValueError, match="cannot have"):
        Field("a", "Flag", size=2)
    assert Field("a", "Angle").getUnits() == "rad"
