"""The two engines under one face: a command of the image, run as a strict site would run it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# No image knows this user.
UID = 12345


@dataclass(frozen=True)
class Call:
    """How one command is run."""

    binds: dict[Path, str] = field(default_factory=dict)
    readable: dict[Path, str] = field(default_factory=dict)
    cwd: str = "/out"
    env: dict[str, str] = field(default_factory=dict)
    entry: str = "hscbox"
    umask: int = 0o022


class Podman:
    """The OCI image: read-only root, an unknown user, no network, no home, only /tmp besides the binds."""

    name = "oci"

    def __init__(self, engine: str, image: str) -> None:
        self.engine, self.image = engine, image

    def command(self, call: Call, words: tuple[object, ...]) -> list[str]:
        line = [self.engine, "run", "--rm", "--read-only", "--user", f"{UID}", "--network", "none", "--tmpfs", "/tmp"]
        # Root of the image runs with the umask 0022 whatever the caller's is.
        line += ["--umask", f"{call.umask:04o}"] if self.engine.endswith("podman") else []
        line += [f"--volume={place}:{inside}" for place, inside in call.binds.items()]
        line += [f"--volume={place}:{inside}:ro" for place, inside in call.readable.items()]
        line += [f"--env={name}={value}" for name, value in call.env.items()]
        return [*line, "--workdir", call.cwd, "--entrypoint", call.entry, self.image, *map(str, words)]

    def environment(self, call: Call) -> dict[str, str]:
        return dict(os.environ)


class Apptainer:
    """The SIF: nothing of the host is visible but the binds; run by an ordinary user where one can be had."""

    name = "sif"

    def __init__(self, image: str, as_user: tuple[str, ...]) -> None:
        self.image, self.as_user = image, as_user
        self.options: tuple[str, ...] = ("--containall", "--cleanenv", "--net", "--network", "none")

    def command(self, call: Call, words: tuple[object, ...]) -> list[str]:
        line = [*self.as_user, "apptainer", "exec", *self.options, "--pwd", call.cwd]
        line += [f"--bind={place}:{inside}" for place, inside in call.binds.items()]
        line += [f"--bind={place}:{inside}:ro" for place, inside in call.readable.items()]
        return [*line, self.image, call.entry, *map(str, words)]

    def environment(self, call: Call) -> dict[str, str]:
        return {**os.environ, **{f"APPTAINERENV_{name}": value for name, value in call.env.items()}}


def run(engine: Podman | Apptainer, *words: object, call: Call, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in the image and return what it printed."""
    command = engine.command(call, words)
    # As a site's user does, from a directory that everybody can read.
    done = subprocess.run(
        command,
        env=engine.environment(call),
        cwd="/",
        umask=call.umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done
