"""What is read for one CCD, with the digests of all files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..butler.butler import Butler
from ..butler.data_id import DataId
from ..butler.derived import exposure_id
from ..camera.calib_kinds import CALIB_KINDS
from ..camera.camera import load_camera
from ..camera.filters import canonical_name
from ..camera.visit_info import visit_info_from_header
from ..errors import FocusCcdError
from ..isr.config import IsrConfig
from ..isr.inputs import IsrInputs
from ..isr.steps import needed
from ..machine.files import sha256_file

__all__ = ["Inputs", "isr_inputs"]


@dataclass
class Inputs:
    """Files read for one CCD: path and SHA-256 by dataset name."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> None:
        """Note a file and compute its digest."""
        self.note(name, path, sha256_file(path))

    def note(self, name: str, path: Path, digest: str) -> None:
        """Note a file whose digest is known."""
        self.files[name] = {"path": str(path), "sha256": digest}

    def shards_digest(self) -> str:
        """Return one digest for all reference shards that were read."""
        shards = sorted((n, f["sha256"]) for n, f in self.files.items() if n.startswith("ref_cat:"))
        return hashlib.sha256(repr(shards).encode()).hexdigest()


def isr_inputs(butler: Butler, data_id: DataId, config: IsrConfig, inputs: Inputs) -> IsrInputs:
    """Read the raw frame, and what the steps need that the configuration asks for.

    Parameters
    ----------
    inputs
        Gets the files that are read.

    Raises
    ------
    FocusCcdError
        It is a focus CCD.
    InputError
        A file is missing or damaged.
    """
    ccd = int(data_id["ccd"])
    detector = load_camera()[ccd]
    if not detector.is_science:
        raise FocusCcdError(
            f"CCD {ccd} ({detector.name}) is a focus CCD and cannot be processed; science CCDs are 0 to 103",
            remedy="Leave it out of --id",
            ccd=ccd,
        )
    inputs.add("raw", butler.path("raw", data_id))
    raw = butler.get("raw", data_id)
    found = IsrInputs(
        raw,
        detector,
        visit_info_from_header(raw.header),
        canonical_name(str(data_id["filter"])),
        exposure_id(dict(data_id)),
    )
    needs = needed(config, found)
    masters = {kind: butler.get(kind, data_id) for kind in CALIB_KINDS if kind in needs}
    for kind, master in masters.items():
        inputs.note(kind, butler.path(kind, data_id), master.sha256)
    kernel = None
    if "bf_kernel" in needs:
        kernel = butler.get("bfKernel", data_id)
        inputs.add("bfKernel", butler.path("bfKernel", data_id))
    defects = butler.get("defects", data_id) if "defects" in needs else ()
    return replace(found, masters=masters, bf_kernel=kernel, defects=defects)
