"""Pictures from a repository: what is read, what is drawn, what is refused."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hscbox.butler.butler import Butler
from hscbox.cli.app import app
from hscbox.errors import ExitStatus, HscboxError, MissingInputError, UsageError
from hscbox.isr.config import IsrConfig
from hscbox.pictures.compare import STEPS, compare
from hscbox.pictures.frames import only_exposure
from hscbox.pictures.isr_runs import ISR_STEPS, recorded_isr_config
from hscbox.pictures.overlay import DEFAULT_PLANES, PLANE_COLOURS
from hscbox.pictures.show import Request, show

from .conftest import CR_AT, ID, RAY, ROWS, SKY


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def places_of(rgb: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((rgb == colour).all(axis=2))


def test_default_is_calexp_with_mask_legend_and_stars(output: Path):
    picture = show(output, ID, Request())
    assert picture.name == "calexp-0040984-055.png"
    counts = dict.fromkeys(DEFAULT_PLANES, "0 pixels") | {"CR": "1 pixels", "star of the PSF model": "1"}
    assert dict(note.split(": ") for note in picture.notes[1:]) == counts
    rgb = pixels_of(picture.png)
    for name in DEFAULT_PLANES:
        assert len(places_of(rgb, PLANE_COLOURS[name])) >= 121, name
    assert not len(places_of(rgb, PLANE_COLOURS["DETECTED"]))


def test_a_cosmic_ray_is_where_the_axes_say(output: Path):
    # 40 x 40 pixels, enlarged 24 times, the ray in the column left of the middle, three quarters up.
    picture = show(output, ID, Request(region=f"{CR_AT[0] - 19},{CR_AT[1] - 29},40,40", mask="CR"))
    rgb = pixels_of(picture.png)
    ray = np.array([p for p in places_of(rgb, PLANE_COLOURS["CR"]) if p[1] < 1020])
    height, width = np.ptp(ray, axis=0) + 1
    assert (height, width) == (24, 24)
    # The image begins 60 points from the left; its top is found from its grey, constant pixels.
    assert (ray[:, 1].min() - 60) // 24 == 19
    column = rgb[:, 70]
    inside = np.flatnonzero((column == column[ray[0, 0]]).all(axis=1))
    assert inside.size == 40 * 24
    assert (inside.max() - ray[:, 0].max()) // 24 == 29


def test_sources_are_marked_when_wanted(output: Path):
    region = "490,10,30,30"
    notes = show(output, ID, Request(region=region)).notes
    assert "source: 1" in notes and "star of the PSF model: 0" in notes
    assert not any(note.startswith("source") for note in show(output, ID, Request(region=region, sources=False)).notes)
    with_all, stars = (show(output, ID, Request(sources=wanted)) for wanted in (True, None))
    assert "source: 2" in with_all.notes and not any(note.startswith("source") for note in stars.notes)
    assert with_all.png != stars.png


def test_equal_requests_give_equal_bytes(output: Path):
    request = Request(region="980,50,60,40")
    assert show(output, ID, request).png == show(output, ID, request).png


def test_raw_and_calibrations_come_from_an_input(repository: Path):
    assert show(repository, ID, Request()).name == "raw-0040984-055.png"
    raw = show(repository, ID, Request(dataset="raw"))
    assert f"columns 0 to 2143, rows 0 to {ROWS + 64}" in raw.notes[0]
    for dataset in ("bias", "dark", "flat"):
        assert show(repository, ID, Request(dataset=dataset)).name == f"{dataset}-0040984-055.png"


def test_steps_are_the_switches_of_the_instrument_signature_removal():
    switches = {name[2:] for name in IsrConfig._fields if name.startswith("do")}
    assert set(ISR_STEPS) == switches - {"Write", "WriteVignettePolygon"}
    assert set(STEPS) == {*ISR_STEPS, "Background", "CosmicRay"}
    page = (Path(__file__).resolve().parents[2] / "docs/commands/show.md").read_text()
    first_column = [line.split("|")[1] for line in page.partition("## Steps")[2].splitlines() if "|" in line]
    assert re.findall(r"`(\w+)`", " ".join(first_column)) == [*STEPS]


def test_bias_step_subtracts_the_bias_over_the_flat(repository: Path):
    butler = Butler(inputs=repository, quiet=True)
    data_id = only_exposure(butler, ID)
    found = compare(butler, "Bias", data_id)
    bias, flat = (butler.get(name, data_id).image[:ROWS] for name in ("bias", "flat"))
    # Later steps act on the difference too, but by parts in ten thousand.
    blank = found.after_mask == 0
    assert np.abs(found.difference + bias / flat)[blank].max() < 0.02 * np.abs(bias).max() + 0.01
    assert np.abs(bias).max() > 0.5


def test_mask_only_steps_show_the_mask(repository: Path):
    picture = show(repository, ID, Request(compare="suspect"))
    assert picture.name == "Suspect-0040984-055.png"
    assert picture.notes[0] == "no pixel value changed"


def test_recorded_configuration_is_used(output: Path):
    butler = Butler(inputs=output, quiet=True)
    assert not recorded_isr_config(butler)[1]
    (output / "config").mkdir()
    (output / "config/processCcd.py").write_text("config.isr.overscanFitType='MEDIAN'\n")
    config, recorded = recorded_isr_config(butler)
    assert recorded and config.overscanFitType == "MEDIAN"


def test_background_step_is_the_sum_of_the_models(output: Path):
    butler = Butler(inputs=output, quiet=True)
    found = compare(butler, "Background", only_exposure(butler, ID))
    assert found.difference == pytest.approx(np.full((ROWS, 2048), -SKY), abs=1e-4)


def test_cosmic_ray_step_changes_flagged_pixels_only(output: Path):
    butler = Butler(inputs=output, quiet=True)
    found = compare(butler, "CosmicRay", only_exposure(butler, ID))
    expected = np.zeros((ROWS, 2048))
    expected[CR_AT[1], CR_AT[0]] = -RAY
    assert found.difference == pytest.approx(expected, abs=1e-3)
    notes = show(output, ID, Request(compare="cosmicray", region="290,30,20,20")).notes
    assert notes[0].startswith("1 of 400 pixels changed, by -500 ADU (median)")
    assert "CR: 0 to 1 pixels" in notes


@pytest.mark.parametrize(
    ("data_id", "request_", "error", "words"),
    [
        (ID, Request(dataset="src"), UsageError, "allowed are raw, postISRCCD, calexp, bias"),
        (ID, Request(compare="flatt"), UsageError, "Did you mean 'flat'"),
        (ID, Request(mask="RAY"), UsageError, "Unknown mask plane 'RAY'"),
        (ID, Request(dataset="bias", compare="Bias"), UsageError, "exclude each other"),
        (ID, Request(dataset="raw", mask="CR"), UsageError, "no mask"),
        (ID, Request(dataset="raw", sources=True), UsageError, "overscan"),
        (ID, Request(region="2000,0,49,10"), UsageError, f"frame of 2048 x {ROWS} pixels"),
        (ID, Request(region="0,0,0,10"), UsageError, "not inside"),
        (ID, Request(region="1,2,3"), UsageError, "x0,y0,width,height"),
        ({"visit": 40984, "ccd": 54}, Request(), HscboxError, "visit 40984 has ccd 55"),
    ],
)
def test_requests_that_make_no_sense_name_what_is_allowed(output: Path, data_id, request_, error, words):
    with pytest.raises(error) as failure:
        show(output, data_id, request_)
    assert words in str(failure.value)


def test_missing_products_say_how_to_make_them(repository: Path):
    for dataset, words in (("postISRCCD", "-c isr.doWrite=True"), ("calexp", "hscbox process-ccd")):
        with pytest.raises(MissingInputError) as failure:
            show(repository, ID, Request(dataset=dataset))
        assert words in str(failure.value)
        assert failure.value.exit_status == ExitStatus.INPUT
    with pytest.raises(MissingInputError, match="--no-sources"):
        show(repository, ID, Request(dataset="bias", sources=True))


def test_command_writes_the_file(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    words = ["show", str(output), "--id", "visit=40984", "ccd=55", "--region", "0,0,64,32"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "written to calexp-0040984-055.png"
    assert pixels_of((tmp_path / "calexp-0040984-055.png").read_bytes()).shape[2] == 3
    CliRunner().invoke(app, [*words, "--output", "other.png"])
    assert (tmp_path / "other.png").read_bytes() == (tmp_path / "calexp-0040984-055.png").read_bytes()
    refused = CliRunner().invoke(app, [*words, "--output", "a.jpg"])
    assert isinstance(refused.exception, UsageError)
