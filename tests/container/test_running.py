"""The images run as sites run them: by anybody, on a read-only root, without network or home."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from container.conftest import Site
from container.engines import Apptainer, Call, Podman, run

# Runs a command of the program inside the image and counts the loops that numba had to compile for it.
COUNT_COMPILATIONS = """
import sys
from numba.core import event
listener = event.RecordingListener()
event.register("numba:compile", listener)
from hscbox.cli import main
try:
    main()
except SystemExit as end:
    print("exit", end.code, "compiled", len(listener.buffer))
"""


def digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every product; records of versions, paths and times are no products."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in {".boost", ".yaml", ".pickle"}
    }


def process(engine: Podman | Apptainer, call: Call, inside: str = "/out") -> None:
    """Make a repository of links into /sps and reduce its frame, all in the image."""
    run(engine, "mount", f"{inside}/input", "--calib", "/sps/CALIB", "--ref-cats", "/sps/ref_cats", call=call)
    run(engine, "ingest-images", f"{inside}/input", "/sps/raw/HSCA04098410.fits", call=call)
    words = ("process-ccd", f"{inside}/input", "--output", f"{inside}/output", "--id", "visit=40984", "ccd=55")
    run(engine, *words, call=call)


def test_the_same_bytes_as_the_installed_program(engine: Podman | Apptainer, site: Site, out: Path) -> None:
    call = replace(site.call, binds={out: "/out"})
    process(engine, call)
    links = [path for path in (out / "input").rglob("*") if path.is_symlink()]
    assert len(links) == 3
    assert all(str(link.readlink()).startswith("/sps/") for link in links)
    installed = digests(site.products)
    assert len(installed) >= 8
    assert digests(out / "output") == installed


def test_no_loop_is_compiled_in_a_run(engine: Podman | Apptainer, site: Site, out: Path) -> None:
    call = replace(site.call, binds={out: "/out"})
    process(engine, call)
    words = ("process-ccd", "/out/input", "--output", "/out/again", "--id", "visit=40984", "ccd=55")
    done = run(engine, "-c", COUNT_COMPILATIONS, *words, call=replace(call, entry="/opt/hscbox/bin/python"))
    assert done.stdout.splitlines()[-1] == "exit 0 compiled 0"
    assert "Compiling loops" not in done.stderr


def test_starts_fast(engine: Podman | Apptainer, out: Path) -> None:
    call = Call(binds={out: "/out"})
    times = []
    for _ in range(3):
        start = time.monotonic()
        assert run(engine, "--version", call=call).stdout.startswith("hscbox ")
        times.append(time.monotonic() - start)
    print(f"{engine.name}: --version takes {min(times):.2f} s")
    # The goal is 1.5 s on an idle machine; here only a slow start by design is caught.
    assert min(times) < 5


def test_writes_only_the_output_and_leaves_nothing_behind(
    engine: Podman | Apptainer, site: Site, room: Path, out: Path
) -> None:
    places = {}
    for name in ("home", "scratch"):
        places[name] = out / name
        places[name].mkdir()
        places[name].chmod(0o777)
    call = replace(
        site.call,
        binds={out: "/out", places["home"]: "/somebody", places["scratch"]: "/scratch"},
        env={"TMPDIR": "/scratch", "XDG_CACHE_HOME": "/somebody/cache", "XDG_CONFIG_HOME": "/somebody/config"},
    )
    if isinstance(engine, Podman):
        call = replace(call, env={**call.env, "HOME": "/somebody"})
    before = {path: path.lstat().st_mtime_ns for path in site.sps.rglob("*")}
    process(engine, call)
    assert sorted(path.name for path in out.iterdir()) == ["home", "input", "output", "output.runs", "scratch"]
    assert list(places["home"].iterdir()) == []
    assert list(places["scratch"].iterdir()) == []
    assert {path: path.lstat().st_mtime_ns for path in site.sps.rglob("*")} == before


def test_paths_with_spaces_and_other_letters(engine: Podman | Apptainer, site: Site, out: Path) -> None:
    name = "données à côté/星"
    place = out / name
    place.mkdir(parents=True)
    place.chmod(0o777)
    process(engine, replace(site.call, binds={out: "/out"}, cwd=f"/out/{name}"), inside=f"/out/{name}")
    assert digests(place / "output") == digests(site.products)


@pytest.mark.parametrize("umask", [0o002, 0o027])
def test_umask_and_group_of_a_shared_tree(engine: Podman | Apptainer, site: Site, out: Path, umask: int) -> None:
    if isinstance(engine, Apptainer) and engine.as_user:
        pytest.skip("the command of HSCBOX_AS_USER has an umask of its own")
    group = 4321
    os.chown(out, -1, group)
    out.chmod(0o2777)
    process(engine, replace(site.call, binds={out: "/out"}, umask=umask))
    for path in sorted((out / "output").rglob("*")):
        status = path.lstat()
        assert status.st_gid == group, path
        mode = stat.S_IMODE(status.st_mode)
        assert mode == ((0o2777 if path.is_dir() else 0o666) & ~umask), f"{path} {mode:o}"


def test_a_poisoned_home_and_path_do_not_get_in(engine: Podman | Apptainer, out: Path) -> None:
    poison = 'raise SystemExit("poisoned")\n'
    packages = out / "home/.local/lib/python3.13/site-packages"
    packages.mkdir(parents=True)
    for place in (packages, out):
        (place / "numpy.py").write_text(poison)
        (place / "typer.py").write_text(poison)
        (place / "sitecustomize.py").write_text(poison)
    # PYTHONPATH must be passed on purpose to get past --cleanenv; even then it is of no use.
    call = Call(binds={out: "/out", out / "home": "/somebody"}, env={"PYTHONPATH": "/out"})
    if isinstance(engine, Podman):
        call = replace(call, env={**call.env, "HOME": "/somebody"})
    assert run(engine, "--version", call=call).stdout.startswith("hscbox ")
    assert "poisoned" not in run(engine, "simulate", "--help", call=call).stdout


@pytest.mark.parametrize("home", ["/nowhere", ""])
def test_a_home_that_is_missing_or_cannot_be_written(podman: Podman, site: Site, out: Path, home: str) -> None:
    call = replace(site.call, binds={out: "/out"}, env={"HOME": home})
    process(podman, call)
    assert digests(out / "output") == digests(site.products)
    assert sorted(path.name for path in out.iterdir()) == ["input", "output", "output.runs"]


def test_apptainer_without_home_and_with_the_hosts_settings(apptainer: Apptainer, site: Site, out: Path) -> None:
    """As a user who gives no option at all: the host's environment comes in, with settings meant for other programs."""
    plain = Apptainer(apptainer.image, apptainer.as_user)
    plain.options = ("--no-home",)
    hostile = {
        "PYTHONPATH": "/out",
        "PYTHONOPTIMIZE": "2",
        "NUMBA_DISABLE_JIT": "1",
        "NUMBA_CACHE_DIR": "/out/cache",
        "OMP_NUM_THREADS": "7",
        "OPENBLAS_CORETYPE": "SKYLAKEX",
        "LC_ALL": "C",
    }
    call = replace(site.call, binds={out: "/out"})
    for name, value in hostile.items():
        os.environ[name] = value
    try:
        process(plain, call)
    finally:
        for name in hostile:
            del os.environ[name]
    assert digests(out / "output") == digests(site.products)
    assert sorted(path.name for path in out.iterdir()) == ["input", "output", "output.runs"]
