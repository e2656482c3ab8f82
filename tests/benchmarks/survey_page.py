"""The page of the manual that shows the result of `make survey`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

HEAD = """# The survey of all CCDs

`make survey` simulates every science CCD in r, and CCDs 0, 33, 55, 95 and 100 in g, r, i, z and y, processes each
and compares the outcome with the truth. Each frame is a field of stars at full size, 300 s, with its own masters.
This page and `testdata/survey/survey.json` are what it wrote.

* **usable**: part of the pixels that is lit and not in a dead amplifier.
* **detections**: sources of the characterization, above 50 sigma; **sources**: rows of SRC; **false**: those without a
  star of the truth (r < 26) within one FWHM; **hits**: those of the false ones that lie within one FWHM of a pixel hit
  by a cosmic ray; most are tracks of less than 6 sigma a pixel, the least that is looked for.
* **truth**: rms of the positions of isolated bright stars against the truth, worse axis; **zero point error**:
  median of measured minus true magnitude of these stars.
* **core-s**: user and system time of the whole command `process-ccd`, two commands at a time; **make**: of the
  simulation.
* A failure is **explained** if it is a named error and its cause is in the scene: less than a quarter of the pixels
  usable. Anything else is unexplained, and so is a number that contradicts the truth.

"""
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("CCD", "ccd", "d"),
    ("band", "band", "s"),
    ("status", "status", "s"),
    ("usable", "usable", ".2f"),
    ("sky ADU", "sky", ".1f"),
    ("true", "true_sky", ".1f"),
    ("seeing ″", "seeing", ".3f"),
    ("true", "true_seeing", ".3f"),
    ("PSF stars", "psf_stars", ".0f"),
    ("cosmic rays", "cosmic_rays", ".0f"),
    ("detections", "detections", ".0f"),
    ("sources", "sources", ".0f"),
    ("false", "false_sources", ".0f"),
    ("hits", "hit_sources", ".0f"),
    ("matches", "matches", ".0f"),
    ("scatter mas", "scatter_mas", ".1f"),
    ("truth mas", "truth_mas", ".1f"),
    ("zero point", "zero_point", ".4f"),
    ("its error mmag", "psf_zero_point_error", ".1f"),
    ("core-s", "core_seconds", ".1f"),
    ("peak MiB", "peak_mib", ".0f"),
    ("make s", "make_seconds", ".1f"),
)


def page(commit: str, rows: Sequence[Row]) -> str:
    """Return the page: commit, table, counts by class, explained and unexplained failures."""
    lines = [HEAD + f"Commit: `{commit}`; {len(rows)} frames.", ""]
    lines.append("| " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    lines.append("|" + " ---: |" * len(COLUMNS))
    lines += ["| " + " | ".join(_cell(row, name, form) for _, name, form in COLUMNS) + " |" for row in rows]
    counts = Counter(row["status"] for row in rows)
    lines += ["", "## How they ended", "", "| class | frames |", "| --- | ---: |"]
    lines += [f"| {status} | {number} |" for status, number in sorted(counts.items())]
    lines += ["", "## Explained failures", "", *_items([row for row in rows if row["cause"]], "cause")]
    lines += ["", "## Unexplained", "", *_items([row for row in rows if row["unexplained"]], "faults")]
    return "\n".join(lines) + "\n"


def _cell(row: Row, name: str, form: str) -> str:
    numbers = dict(row["numbers"])
    if "astrometry_rms_ra" in numbers:
        numbers["truth_mas"] = max(numbers["astrometry_rms_ra"], numbers["astrometry_rms_dec"])
    value = row.get(name, numbers.get(name))
    return "–" if value is None or value != value else format(value, form)


def _items(rows: Sequence[Row], reason: str) -> list[str]:
    if not rows:
        return ["None."]
    found = []
    for row in rows:
        why = row[reason] if isinstance(row[reason], str) else ", ".join(row[reason])
        text = "; ".join(part for part in (row["status"], row["message"], why) if part)
        found.append(f"* CCD {row['ccd']} {row['band']}: {text}")
    return found
