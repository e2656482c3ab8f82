"""The job of a batch system that this process belongs to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["batch_job"]


def batch_job(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the name of the batch system and the id of the job; empty outside of Slurm, Grid Engine and HTCondor.

    The id is the word that the system's own commands take: job or array_task for Slurm, job or job.task for Grid
    Engine, cluster.process for HTCondor.
    """
    variables = os.environ if environment is None else environment
    if array := variables.get("SLURM_ARRAY_JOB_ID"):
        return {"system": "slurm", "id": f"{array}_{variables.get('SLURM_ARRAY_TASK_ID', '?')}"}
    if job := variables.get("SLURM_JOB_ID"):
        return {"system": "slurm", "id": job}
    if file := variables.get("_CONDOR_JOB_AD"):
        return {"system": "htcondor", "id": _condor_id(Path(file))}
    if job := variables.get("JOB_ID"):
        task = variables.get("SGE_TASK_ID", "undefined")
        return {"system": "gridengine", "id": job if task == "undefined" else f"{job}.{task}"}
    return {}


def _condor_id(description: Path) -> str:
    """Return cluster.process from the description that HTCondor leaves for the job; `unknown` if it is unreadable."""
    try:
        text = description.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    numbers = dict(re.findall(r"^(ClusterId|ProcId)\s*=\s*(\d+)\s*$", text, re.MULTILINE | re.IGNORECASE))
    found = {name.lower(): number for name, number in numbers.items()}
    return f"{found['clusterid']}.{found.get('procid', '0')}" if "clusterid" in found else "unknown"
