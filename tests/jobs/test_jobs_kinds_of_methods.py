"""Kinds of methods, each interrupted while it pretrains and gone on with: the same encoder as undisturbed.

Masked images, several cohorts, real pairs and every option of the optimiser stand in ``test_jobs_resume``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from mribench.config import load_benchmark, resolve
from mribench.execute import pulse, worker
from mribench.plan import make_missing, open_cohorts
from mribench.plan.build import build_plan
from mribench.plan.feasibility import check_feasible
from mribench.plugins import load_registry
from mribench.results.specification import Specification, write_specification
from mribench.training import Interrupted

PATCH = {"patch_vox": 16}
METHODS: dict[str, dict[str, Any]] = {
    "byol": {"views": "seqinv", "objective": {"name": "byol", "hidden": 16, "out": 8}},
    "moco-v2": {"views": "seqaug", "objective": {"name": "moco-v2", "queue": 8, "hidden": 16, "out": 8}},
    "dino-multi-crop": {
        "views": "seqinv",
        "objective": {"name": "dino", "prototypes": 32, "hidden": 16, "bottleneck": 8, "local_views": 2},
        "pretrain": PATCH,
    },
    "four-views": {"views": "seqinv", "objective": {"name": "simclr", "views": 4, "hidden": 16, "out": 8}},
    "scans": {"views": "augment", "objective": {"name": "simclr", "hidden": 16}, "pretrain": {"data": "ixi"}},
    "decoder": {"views": "mprage", "objective": "image-to-image"},
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with the specification of the pretraining of each method."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kinds")
    content = yaml.safe_load((Path(__file__).parent.parent / "benchmarks" / "tiny.yaml").read_text())
    content["methods"] = METHODS
    file = folder / "kinds.yaml"
    file.write_text(yaml.safe_dump(content))
    resolved = resolve(load_benchmark(file, ()), load_registry())
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    check_feasible(resolved, cohorts)
    made = {}
    for job in build_plan(resolved, cohorts).jobs:
        if job.kind == "pretrain":
            assert job.content is not None
            assert job.key is not None
            assert job.method is not None
            made[job.method] = folder / "jobs" / job.key
            made[job.method].mkdir(parents=True)
            write_specification(
                made[job.method], Specification(id=job.id, spec=job.spec, content=job.content)
            )
    return made


def run(folder: Path) -> str:
    """Run a job with a checkpoint after each step, and return its state."""
    status = worker.run_job(folder, threads=1, checkpoint_every_s=0.0)
    assert status is not None
    assert status.state != "failed", status.reason
    return str(status.state)


@pytest.mark.parametrize("method", METHODS)
def test_interrupted_and_gone_on_with(
    jobs: dict[str, Path], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = jobs[method], tmp_path / "jobs" / jobs[method].name
    shutil.copytree(whole, broken)
    assert run(whole) == "done"
    tick = pulse.Pulse.tick

    def interrupt(beat: pulse.Pulse, done: int, total: int) -> None:
        tick(beat, done, total)
        if done == 2:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(pulse.Pulse, "tick", interrupt)
        assert run(broken) == "interrupted"
    assert not (broken / "encoder.safetensors").exists()
    assert run(broken) == "done"
    for name in {path.name for path in whole.glob("*.safetensors")}:
        one, other = load_file(whole / name), load_file(broken / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
