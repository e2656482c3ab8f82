"""Results of a check for programs: JSON and JUnit XML."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from ..machine.files import write_bytes
from ..machine.revision import __version__
from .check import SceneCheck
from .compare import LISTS
from .failures import SceneFailure

__all__ = ["write_json", "write_junit"]

# Characters that XML 1.0 forbids.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_json(path: Path, checks: Sequence[SceneCheck | SceneFailure]) -> None:
    """Write everything that was compared.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    content = {
        "hscbox": __version__,
        "passed": all(check.passed for check in checks),
        "scenes": [check.as_dict() for check in checks],
    }
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def write_junit(path: Path, checks: Sequence[SceneCheck | SceneFailure]) -> None:
    """Write JUnit XML: one suite per scene, one case per list; one case alone for a scene that could not be checked.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    root = ET.Element("testsuites", name="hscbox regress")
    for check in checks:
        if isinstance(check, SceneFailure):
            _failure(root, check)
        else:
            _suite(root, check)
    ET.indent(root, " ")
    write_bytes(path, ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _suite(root: ET.Element, check: SceneCheck) -> None:
    seconds = f"{sum(check.run.seconds.values()):.2f}"
    failures = len({item.group for item in check.mismatches})
    suite = ET.SubElement(
        root, "testsuite", name=check.scene, tests=str(len(LISTS)), failures=str(failures), errors="0",
        skipped="0", time=seconds,
    )  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", name="level", value=check.level)
    ET.SubElement(properties, "property", name="why", value=_clean("; ".join(check.why)))
    for group in LISTS:
        _case(suite, check, group, seconds if group == "outcome" else "0")


def _failure(root: ET.Element, failure: SceneFailure) -> None:
    suite = ET.SubElement(
        root, "testsuite", name=failure.scene, tests="1", failures="0", errors="1", skipped="0", time="0"
    )
    case = ET.SubElement(suite, "testcase", classname=f"hscbox.regress.{failure.scene}", name="scene", time="0")
    ET.SubElement(case, "error", message=_clean(str(failure.error)), type=failure.error.code)


def _case(suite: ET.Element, check: SceneCheck, group: str, seconds: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"hscbox.regress.{check.scene}", name=group, time=seconds)
    wrong = [item for item in check.mismatches if item.group == group]
    if not wrong:
        return
    failure = ET.SubElement(case, "failure", message=f"{len(wrong)} of {len(check.of(group))} differ", type="mismatch")
    lines = [f"{item.name}: expected {item.expected}, found {item.found} {item.note}".rstrip() for item in wrong]
    failure.text = _clean("\n".join(lines + ([check.diff] if group == "products" else [])))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
