from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hscbox.cli import classic
from hscbox.cli.arguments import parse_process_ccd
from hscbox.cli.ingest import ingest_calibs, ingest_images
from hscbox.cli.ingest_output import config_options
from hscbox.cli.mount import mount
from hscbox.cli.query import query
from hscbox.errors import ConfigError, HscboxError, MissingInputError, UsageError

HEADER = {
    "SIMPLE": "T",
    "BITPIX": "16",
    "NAXIS": "2",
    "NAXIS1": "2144",
    "NAXIS2": "70",
    "OBJECT": "'SSP_UDEEP_SXDS'",
    "EXP-ID": "'HSCA04098400'",
    "FRAMEID": "'HSCA04098410'",
    "DET-ID": "55",
    "FILTER01": "'HSC-r'",
    "MJD": "57305.4",
    "DATE-OBS": "'2015-10-10'",
    "EXPTIME": "300.0",
}


@pytest.fixture
def raw(tmp_path: Path) -> Callable[[int], str]:
    def make(ccd: int) -> str:
        cards = "".join(f"{k:8}= {v:>20}".ljust(80) for k, v in {**HEADER, "DET-ID": str(ccd)}.items()) + "END".ljust(
            80
        )
        cards += " " * (-len(cards) % 2880)
        size = 2144 * 70 * 2
        path = tmp_path / f"raw{ccd}.fits"
        with path.open("wb") as stream:
            stream.write(cards.encode())
            stream.truncate(len(cards) + size + -size % 2880)
        return str(path)

    return make


@pytest.fixture
def run() -> Callable[..., tuple[int, str]]:
    app = typer.Typer()
    for name, function in {
        "mount": mount,
        "ingest-images": ingest_images,
        "ingest-calibs": ingest_calibs,
        "query": query,
    }.items():
        app.command(name)(function)

    def call(*words: object, stdin: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        if isinstance(result.exception, HscboxError):
            return int(result.exception.exit_status), str(result.exception)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return call


def test_from_mount_to_query(run, raw, tmp_path: Path):
    root = tmp_path / "input"
    assert run("mount", root, "--calib", tmp_path, "--ref-cats", tmp_path)[0] == 0
    status, text = run("ingest-images", root, raw(55), raw(56), "--report", tmp_path / "report.json")
    assert status == 0 and "2 ingested, 0 unchanged, 0 refused" in text and "0..54^57..111" in text
    assert json.loads((tmp_path / "report.json").read_text())["ingested"] == 2
    assert "0 ingested, 2 unchanged" in run("ingest-images", root, "-", stdin=f"{raw(55)}\n{raw(56)}\n")[1]
    status, text = run("ingest-images", root, raw(55), tmp_path / "absent.fits")
    assert status == 4 and "1 refused" in text

    status, text = run("query", root, "--id", "visit=40984", "ccd=55", "--format", "csv")
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("field,visit,ccd,pointing,filter") and len(lines) == 2
    assert lines[1].startswith("SSP_UDEEP_SXDS,40984,55,1378,HSC-R")
    rows = json.loads(run("query", root, "--format", "json")[1])
    assert [row["ccd"] for row in rows] == [55, 56]
    status, text = run("query", root, "--completeness", "--format", "csv")
    assert text.splitlines()[1] == "40984,HSC-R,SSP_UDEEP_SXDS,2,0,0..54^57..111"
    assert "SSP_UDEEP_SXDS" in run("query", root)[1]


def test_errors_have_their_status_and_say_what_to_do(run, tmp_path: Path, raw):
    root = tmp_path / "input"
    run("mount", root)
    assert run("ingest-images", tmp_path / "absent", "x")[0] == 4
    assert run("ingest-images", root, "--mode", "teleport", "x")[0] == 2
    assert run("ingest-images", root, raw(55), "-c", "clober=True")[0] == 2
    assert run("query", root, "--id", "visit=1")[0] == 4
    assert run("query", root, "--id", "vist=1") == (2, run("query", root, "--id", "vist=1")[1])
    run("ingest-images", root, raw(55))
    status, text = run("query", root, "--id", "visit=40986")
    assert status == 4 and "the nearest visits are 40984" in text
    assert run("query", root, "--id", "visit=1", "--id", "visit=2", "ccd=3")[0] == 2


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_control_characters_of_headers_do_not_reach_the_terminal(run, raw, tmp_path: Path, form: str):
    root = tmp_path / "input"
    run("mount", root)
    run("ingest-images", root, raw(55))
    with sqlite3.connect(root / "registry.sqlite3") as connection:
        connection.execute("UPDATE raw SET proposal = ?", ("o1\x1b[2J\x9b",))
    status, text = run("query", root, "--format", form)
    assert status == 0 and "\x1b" not in text and "\x9b" not in text
    assert form == "json" or "o1?[2J?" in text


def test_every_command_shows_an_example(run):
    for name in ("mount", "ingest-images", "ingest-calibs", "query"):
        status, text = run(name, "--help")
        assert status == 0 and "Example" in text


def test_options_of_the_2017_configuration():
    assert config_options(["clobber=True", "register.ignore=True", "allowError=True"]) == {"clobber": True}
    assert config_options(["register.permissions=0o640"]) == {"permissions": 0o640}
    assert config_options(["register.permissions=436"]) == {"permissions": 0o664}
    permissions = ("089", "0o8", "\u00b2", "", "1" * 40, "0x1ff", "-1")
    for bad in ("clobber=yes", "clobber", "register.table=raw", *(f"register.permissions={p}" for p in permissions)):
        with pytest.raises(ConfigError):
            config_options([bad])


def test_classic_ingest(run, raw, tmp_path: Path, monkeypatch, capsys):
    run("mount", tmp_path / "input")
    monkeypatch.chdir(tmp_path)
    words = ["ingestImages.py", "input", raw(55), "--mode", "link", "-c", "clobber=True", "register.ignore=True"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        classic.ingest_images_main()
    assert stop.value.code == 0 and "--<link>-->" in capsys.readouterr().err
    connection = sqlite3.connect("input/registry.sqlite3")
    assert connection.execute("SELECT visit, ccd FROM raw").fetchall() == [(40984, 55)]
    connection.close()


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (classic.ingest_images_main, ["input"]),
        (classic.ingest_images_main, ["input", "x", "--nonsense"]),
        (classic.ingest_calibs_main, ["input", "x"]),
        (classic.process_ccd_main, ["--output", "x"]),
        (classic.process_ccd_main, ["input", "-j", "0"]),
        (classic.process_ccd_main, ["input", "-t", "soon"]),
    ],
)
def test_classic_usage_errors_are_one_line_and_status_2(main, words, monkeypatch, capsys, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["classic", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    text = capsys.readouterr().err
    assert stop.value.code == 2 and text.count("\n") == 1 and text.startswith("hscbox: error: ")


def test_process_ccd_arguments_in_the_classic_style(tmp_path: Path):
    words = [
        "input",
        "--output",
        "out",
        "--id",
        "visit=40984",
        "ccd=55^56",
        "--id",
        "visit=2",
        "-c",
        "a.b=1",
        "c=2",
        "-C",
        "one.py",
        "two.py",
        "-c",
        "d=3",
    ]
    parsed = parse_process_ccd([*words, "-L", "debug", "isr=warn", "--show", "config=*x*", "run", "--clobber-config"])
    assert (parsed.input, parsed.output, parsed.rerun) == ("input", "out", None)
    assert parsed.ids == [["visit=40984", "ccd=55^56"], ["visit=2"]]
    assert parsed.overrides == [("-c", "a.b=1"), ("-c", "c=2"), ("-C", "one.py"), ("-C", "two.py"), ("-c", "d=3")]
    assert parsed.log_levels == ["debug", "isr=warn"] and parsed.show == ["config=*x*", "run"]
    assert parsed.clobber_config and not parsed.clobber_output
    assert parse_process_ccd(["input", "--id"]).ids == [[]]
    assert parse_process_ccd(["input", "--configfile", "f", "--config", "a=1"]).overrides == [
        ("-C", "f"),
        ("-c", "a=1"),
    ]
    assert parse_process_ccd(["input", "-t", "0"]).timeout == 2592000.0


def test_argument_files(tmp_path: Path):
    file = tmp_path / "args"
    file.write_text("# what\n--id visit=1 'field=A B'  # comment\n\n--output 'o x'\n")
    parsed = parse_process_ccd(["input", f"@{file}", "-j", "3"])
    assert parsed.ids == [["visit=1", "field=A B"]] and parsed.output == "o x" and parsed.processes == 3
    with pytest.raises(UsageError, match="first argument"):
        parse_process_ccd([f"@{file}"])
    with pytest.raises(MissingInputError, match="absent"):
        parse_process_ccd(["input", "@absent"])
    file.write_text(f"@{file}")
    with pytest.raises(UsageError, match="circle"):
        parse_process_ccd(["input", f"@{file}"])
    file.write_text("'open")
    with pytest.raises(UsageError, match="quotation"):
        parse_process_ccd(["input", f"@{file}"])
