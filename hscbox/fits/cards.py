"""Header cards as text.

Sources: FITS standard 4.0, section 4; the HIERARCH and CONTINUE conventions as CFITSIO writes them.
"""

from __future__ import annotations

import math
import re

import numpy as np

from .metadata import CardValue, Metadata
from .structure import CARD_SIZE, padding

__all__ = ["card", "end_and_padding", "metadata_cards"]

_STANDARD = re.compile(r"[A-Z0-9_-]{1,8}")


def card(keyword: str, value: CardValue, comment: str = "") -> str:
    """Return a card of 80 characters, or several in a row for long strings and for lists (one card a value).

    Keywords of more than eight characters or with lower case become HIERARCH cards. Comments are cut to fit.
    Doubles are written with all their digits, so that they are read back exactly.

    Raises
    ------
    ValueError
        The value is not finite (FITS has no such number), or the keyword leaves no room for it.
    """
    if isinstance(value, list):
        return "".join(card(keyword, item, comment) for item in value)
    standard = _STANDARD.fullmatch(keyword) is not None
    start = f"{keyword:<8}= " if standard else f"HIERARCH {keyword} = "
    if isinstance(value, str):
        return _string_cards(start, value, comment)
    return _finish(start + _number(value).rjust(20 if standard else 0), comment)


def metadata_cards(metadata: Metadata) -> list[str]:
    """Return the cards of a metadata mapping, leaving out numbers that are not finite."""
    cards = []
    for key, value in metadata.items():
        values = value if isinstance(value, list) else [value]
        kept = [item for item in values if not (isinstance(item, float) and not math.isfinite(item))]
        if key in ("COMMENT", "HISTORY"):
            cards += [f"{key:<8}{_printable(str(item))}"[:CARD_SIZE].ljust(CARD_SIZE) for item in kept]
        else:
            cards += [card(key, item, metadata.comment(key)) for item in kept]
    return cards


def end_and_padding(n_cards: int) -> str:
    """Return the END card and the blanks that fill the last header block after `n_cards` cards."""
    return "END".ljust(CARD_SIZE) + " " * padding((n_cards + 1) * CARD_SIZE)


def _number(value: bool | int | float) -> str:
    if isinstance(value, bool | np.bool_):
        return "T" if value else "F"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if not math.isfinite(value):
        raise ValueError(f"a FITS card cannot hold {value}")
    return repr(float(value)).upper()


def _printable(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _string_cards(start: str, value: str, comment: str) -> str:
    quoted = _printable(value).rstrip().replace("'", "''")
    if len(start) + len(quoted) + 2 <= CARD_SIZE:
        return _finish(f"{start}'{quoted:<8}'", comment)
    cards = []
    while True:
        room = CARD_SIZE - len(start) - 2
        if len(quoted) <= room:
            cards.append(f"{start}'{quoted}'".ljust(CARD_SIZE))
            return "".join(cards)
        if room < 2:
            raise ValueError(f"no room for a value after {start!r}")
        size = room - 1
        # A doubled quote must not be cut into two.
        size -= (size - len(quoted[:size].rstrip("'"))) % 2
        cards.append(f"{start}'{quoted[:size]}&'".ljust(CARD_SIZE))
        quoted, start = quoted[size:], "CONTINUE  "


def _finish(text: str, comment: str) -> str:
    if len(text) > CARD_SIZE:
        raise ValueError(f"no room for the value in the card {text!r}")
    if comment and len(text) < CARD_SIZE - 6:
        text = f"{text:<30} / {_printable(comment)}"
    return text[:CARD_SIZE].ljust(CARD_SIZE)
