"""The manual and the package agree: public names, imports of the examples, links."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hscbox

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
API = ROOT / "docs/python-api.md"


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _imports() -> list[tuple[str, ast.Import | ast.ImportFrom]]:
    """Return the import statements of all Python blocks, with the page that each stands on."""
    return [
        (page.relative_to(ROOT).as_posix(), node)
        for page in PAGES
        for block in _blocks(page)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def test_imports_of_the_manual_work_and_take_public_names_only() -> None:
    found = _imports()
    assert len({page for page, _ in found}) >= 3
    for page, node in found:
        exec(compile(ast.Module([node], []), page, "exec"), {})
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
        assert not any(name.startswith("hscbox.") for name in modules), f"{page}: {ast.unparse(node)}"


def test_the_page_lists_the_public_names_and_nothing_else() -> None:
    table = API.read_text(encoding="utf-8").split("| name | what it is |")[1].split("\n\n")[0]
    listed = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(set(hscbox.__all__) - {"__version__"})
    assert set(hscbox.__all__) <= set(dir(hscbox))


@pytest.mark.parametrize("name", sorted(hscbox.__all__))
def test_public_names_are_what_their_modules_call_them(name: str) -> None:
    value = getattr(hscbox, name)
    assert name in {getattr(value, "__name__", name), getattr(value, "__qualname__", name)}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hscbox' has no attribute 'Butlr'"):
        _ = hscbox.Butlr
    with pytest.raises(ImportError, match="Butlr"):
        exec("from hscbox import Butlr", {})


def test_names_are_loaded_when_used_and_the_settings_come_first() -> None:
    code = (
        "import os, sys; import hscbox; dir(hscbox); hscbox.HscboxError; assert 'numpy' not in sys.modules; "
        "assert os.environ['OMP_NUM_THREADS'] == '1'; from hscbox import Exposure; assert 'numpy' in sys.modules; "
        "assert not {'galsim', 'numba', 'lsst', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", text):
        if target.startswith(("http:", "https:")):
            continue
        other = (page.parent / target) if target else page
        assert other.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor[1:] in _anchors(other), f"{page.name}: {target}{anchor}"


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_the_manual_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:hscbox|tests|testdata|docs)/[\w./*-]+\.(?:py|toml|json|ecsv|md))\b", text):
        assert list(ROOT.glob(name.replace("NAME", "*"))), f"{page.name}: {name}"


def test_notes_of_changes_are_built_into_the_change_log() -> None:
    command = [Path(sys.executable).with_name("towncrier"), "build", "--draft", "--version", "9.9"]
    draft = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "## 9.9" in draft
    for note in (ROOT / "docs/changes").glob("+*.md"):
        assert note.read_text(encoding="utf-8").strip() in draft, note.name


def test_the_page_of_rooms_has_the_order_that_is_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    rooms = [room for line in contracts[0]["layers"] for room in line.split(" | ")]
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("## The rooms")[1].split("\n\n")[1]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == rooms
