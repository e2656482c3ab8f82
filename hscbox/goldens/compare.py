"""Compare what a scene produced with its golden, item by item."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .golden import Golden, Outcome
from .numbers import Number

__all__ = ["LISTS", "Item", "Status", "compare", "message_numbers", "version_differences"]

Status = Literal["ok", "mismatch", "not compared"]
LISTS = ("outcome", "files", "inputs", "products", "numbers", "truth")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
_SHOWN = 16


@dataclass(frozen=True)
class Item:
    """One line of a comparison.

    Attributes
    ----------
    group
        Which list: one of `LISTS`.
    name
        Of the file, product or number.
    status
        ``not compared`` where the level of the machine forbids it.
    expected, found
        What the golden says and what was produced, as text.
    note
        Tolerance and its reason, or what the difference means.
    """

    group: str
    name: str
    status: Status
    expected: str = ""
    found: str = ""
    note: str = ""


def compare(golden: Golden, produced: Golden, *, bitwise: bool) -> list[Item]:
    """Compare outcome, files, bytes and numbers.

    Parameters
    ----------
    golden, produced
        What was accepted, and what this run made.
    bitwise
        Whether bytes must be equal; otherwise numbers alone decide.
    """
    return [
        *_outcome(golden, produced),
        *_files(golden.files, produced.files),
        *_bytes("inputs", golden.inputs, produced.inputs, bitwise),
        *_bytes("products", golden.products, produced.products, bitwise),
        *_numbers(golden.numbers, produced.numbers),
    ]


def version_differences(golden: Golden, versions: Mapping[str, str]) -> list[str]:
    """Return the packages whose version differs, Python and hscbox itself excepted.

    The products are the same with every supported Python; a new version of hscbox needs new goldens.
    """
    return [
        f"{name} {versions.get(name, 'missing')} instead of {wanted}"
        for name, wanted in sorted(golden.versions.items())
        if name not in {"python", "hscbox"} and versions.get(name) != wanted
    ]


def message_numbers(message: str) -> tuple[str, dict[str, Number]]:
    """Return a message with ``{}`` for each number, and the numbers: they may differ where counts may."""
    values = [float(text) for text in _NUMBER.findall(message)]
    numbers = {
        f"message.{index}": Number(value, max(4, 0.25 * abs(value)), "message") for index, value in enumerate(values)
    }
    return _NUMBER.sub("{}", message), numbers


def _outcome(golden: Golden, produced: Golden) -> Iterator[Item]:
    if golden.definition != produced.definition:
        yield Item(
            "outcome", "definition", "mismatch", golden.definition[:_SHOWN], produced.definition[:_SHOWN],
            "the scene was changed after its golden was accepted",
        )  # fmt: skip
    for name in Outcome.__dataclass_fields__:
        wanted, found = str(getattr(golden.outcome, name)), str(getattr(produced.outcome, name))
        yield Item("outcome", name, "ok" if wanted == found else "mismatch", wanted, found)


def _files(wanted: list[str], found: list[str]) -> Iterator[Item]:
    exists = "exists"
    for item in _bytes("files", dict.fromkeys(wanted, exists), dict.fromkeys(found, exists), True):
        yield replace(item, note="the golden does not know this file") if item.expected == "absent" else item


def _bytes(group: str, wanted: Mapping[str, str], found: Mapping[str, str], bitwise: bool) -> Iterator[Item]:
    for name in sorted({*wanted, *found}):
        expected, digest = wanted.get(name, "absent"), found.get(name, "missing")
        status: Status = "ok" if expected == digest else "mismatch" if bitwise else "not compared"
        note = "bytes may differ at this level" if status == "not compared" else ""
        if status == "mismatch" and group == "inputs":
            note = "the generator makes another frame: compare its inputs first"
        yield Item(group, name, status, expected[:_SHOWN], digest[:_SHOWN], note)


def _numbers(wanted: Mapping[str, Number], found: Mapping[str, Number]) -> Iterator[Item]:
    for name in sorted({*wanted, *found}):
        if name not in found:
            yield Item("numbers", name, "mismatch", f"{wanted[name].value:.9g}", "missing")
        elif name not in wanted:
            yield Item("numbers", name, "mismatch", "absent", f"{found[name].value:.9g}", "unknown to the golden")
        else:
            number, value = wanted[name], found[name].value
            status: Status = "ok" if number.holds(value) else "mismatch"
            note = f"+- {number.tolerance:.3g} ({number.reason})"
            yield Item("numbers", name, status, f"{number.value:.9g}", f"{value:.9g}", note)
