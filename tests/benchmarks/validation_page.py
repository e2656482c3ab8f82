"""The page of the manual that shows the result of `make validate-long`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from validation_numbers import ROWS

from hscbox.truth.levels import Limit

Row = Mapping[str, Any]

HEAD = """# The long validation

`make validate-long` simulates full frames of CCD 55, 300 s each, processes them and compares the outcome with the
truth. The groups: r at a seeing of 0.45, 0.6 and 0.9 arcsec; r at 0.6 with a PSF of ellipticity 0.15; g, i, z and y at
0.6; and *stars*, fields in r, and in y at 0.6, with four times the stars and no galaxies, for what needs many isolated
stars. Frames of a group differ in the synthetic sky, PSF and camera. This page and `testdata/validate/long.json` are
what it wrote; the JSON has the numbers of each frame too. What each number means: [validation](validation.md).

A number is that of the sources of all frames of the group, with its standard error by bootstrap, or that of the mean of
the frames if this is larger. Biases of the astrometry, worst corners and numbers of pixels are means over the frames;
*worst frame* is the largest of all, with the scatter of the frames as its error. *rms of frames* is the root mean
square of the frames' own numbers without what their errors explain: it sees what is wrong in every frame by chance, and
right on average. Fields of stars are judged by their stars alone.

* **Bold**: the target is missed. **Bold with !**: by more than the error.
* **?**: the error exceeds a third of the target (of what is missing to 1, for shares).
"""
SIGNS = {"most": "≤ {}", "least": "≥ {}", "one": "1 ± {}"}


def page(content: Mapping[str, Any]) -> str:
    """Return the page: commit, the table, frames that failed."""
    groups: Sequence[Row] = content["groups"]
    lines = [HEAD, f"Commit: `{content['commit']}`; {len(content['frames'])} frames.", ""]
    titles = [f"{group['name']} ({group['frames']})" for group in groups]
    lines.append("| " + " | ".join(["number", "target", *titles]) + " |")
    lines.append("| --- | ---: |" + " ---: |" * len(groups))
    for limit in ROWS:
        name = f"{limit.title} ({limit.unit})" if limit.unit else limit.title
        target = "" if limit.target is None else SIGNS[limit.kind].format(f"{limit.target:g}")
        cells = [_cell(group["numbers"][limit.name], limit) for group in groups]
        lines.append("| " + " | ".join([name, target, *cells]) + " |")
    failed = [frame for frame in content["frames"] if frame["failure"]]
    lines += ["", "## Frames that failed", ""]
    lines += [f"* {frame['group']}, seed {frame['seed']}: {frame['failure']}" for frame in failed] or ["None."]
    return "\n".join(lines) + "\n"


def _cell(number: Row, limit: Limit) -> str:
    if number["value"] is None:
        return "–"
    text = f"{number['value']:.3g}"
    if number["error"]:
        text += f" ± {number['error']:.2g}"
    if number["verdict"].startswith("missed"):
        text = f"**{text}{'!' if number['clearly_missed'] else ''}**"
    return text + (" ?" if limit.target is not None and number["verdict"].endswith("uncertain") else "")
