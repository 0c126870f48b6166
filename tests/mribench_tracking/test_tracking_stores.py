"""A real run with two trackers: what their stores say equals what the job folders say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from support_tracking import (
    COUNT,
    Store,
    curves,
    event_folder,
    folders,
    run,
    scalars,
    scores,
    text,
)

from mribench.cli import cli

# what the trackers' packages deprecate is not ours
pytestmark = pytest.mark.filterwarnings("default:::(mlflow|sqlalchemy|tensorboard|torch|google).*")
BOTH = ("--track", "tensorboard", "--track", "mlflow")


@pytest.fixture(scope="module")
def needed() -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (make test-tracking)")
    pytest.importorskip("mlflow", reason="mlflow is not installed (make test-tracking)")


@pytest.fixture(scope="module")
def tracked(needed, tmp_path_factory) -> Path:
    """Results of a run with both trackers."""
    results = tmp_path_factory.mktemp("tracked")
    said = run(results, *BOTH)
    assert said.code == 0, said
    assert "tracking with" not in said.out, said.out
    assert len(folders(results)) == COUNT
    return results


@pytest.fixture
def again(tracked, tmp_path) -> Path:
    """A copy of those results."""
    return Path(shutil.copytree(tracked, tmp_path / "results"))


def store(results: Path) -> Store:
    return Store(results / "tiny/mlflow.db")


def label(folder: Path) -> dict:
    return json.loads((folder / "job.json").read_text())


def test_mlflow_has_every_job_once_and_finished(tracked):
    runs = store(tracked).runs()
    assert set(runs) == set(folders(tracked))
    assert {status for _, status in runs.values()} == {"FINISHED"}


def test_mlflow_has_the_history_and_the_scores(tracked):
    trained, scored = 0, 0
    for key, folder in folders(tracked).items():
        found = store(tracked).metrics(store(tracked).runs()[key][0])
        wall_s = found.pop("wall_s")
        assert wall_s == {0: pd.read_parquet(folder / "job.parquet").wall_s[0]}
        means = {name: {0: value} for name, value in scores(folder).items()}
        assert {name: found.pop(name) for name in means} == {
            name: {0: pytest.approx(points[0], rel=1e-12)} for name, points in means.items()
        }
        assert found == curves(folder)  # bit for bit
        trained += bool(found)
        scored += bool(means)
    assert (trained, scored) == (2, 2)


def test_the_curve_of_a_pretraining_is_whole(tracked):
    (folder,) = [f for f in folders(tracked).values() if label(f)["kind"] == "pretrain"]
    assert set(curves(folder)["total"]) == {0, 1, 2, 3}
    assert {"mean_cosine", "effective_rank", "retrieval"} <= set(curves(folder))


def test_mlflow_has_names_and_labels(tracked):
    for key, folder in folders(tracked).items():
        identity = store(tracked).runs()[key][0]
        tags = store(tracked).texts("tags", identity)
        assert tags["mlflow.runName"] == label(folder)["id"]
        assert tags["mribench.kind"] == label(folder)["kind"]
        assert Path(tags["mribench.directory"]) == folder
        labels = store(tracked).texts("params", identity)
        assert labels["method"] == "seqinv"
        assert labels["seed"] == "0"
        assert labels["profile"] == "corrected"
        cell = label(folder)["payload"].get("cell")
        if cell:
            assert labels == {name: str(value) for name, value in cell.items() if value is not None}
        elif label(folder)["kind"] == "adapt":
            assert labels["fraction"] == "1.0"
            assert labels["task"] == "denoise"
            assert "test_site" not in labels
        else:
            assert not {"task", "arm", "fraction"} & set(labels)


def test_tensorboard_has_the_history_and_the_scores(tracked):
    for key, folder in folders(tracked).items():
        place = event_folder(tracked / "tiny/tensorboard", key)
        assert place.parent == tracked / "tiny/tensorboard" / label(folder)["id"]
        expected = {f"loss/{name}": points for name, points in curves(folder).items()}
        expected |= {f"score/{name}": {0: mean} for name, mean in scores(folder).items()}
        expected["wall_s"] = {0: pd.read_parquet(folder / "job.parquet").wall_s[0]}
        single = {
            tag: {step: pytest.approx(np.float32(value), rel=1e-6) for step, value in points.items()}
            for tag, points in expected.items()
        }
        assert scalars(place) == single
        assert text(place, "state") == "done"
        assert key in text(place, "job")


def test_tracking_changes_no_key_and_no_number(tracked, tmp_path):
    assert run(tmp_path).code == 0
    assert set(folders(tmp_path)) == set(folders(tracked))
    for key, folder in folders(tmp_path).items():
        other = folders(tracked)[key]
        assert {p.name for p in folder.iterdir()} == {p.name for p in other.iterdir()}
        assert (folder / "job.json").read_bytes() == (other / "job.json").read_bytes()
        for name in ("records.parquet", "history.parquet"):
            if (folder / name).exists():
                assert_frame_equal(
                    pd.read_parquet(folder / name), pd.read_parquet(other / name), check_exact=True
                )
        for path in folder.glob("*.safetensors"):
            assert path.read_bytes() == (other / path.name).read_bytes()
    plans = [sorted(p.name for p in (r / "tiny/plans").iterdir()) for r in (tmp_path, tracked)]
    assert plans[0] == plans[1], "the digest of the file"


def test_a_run_with_nothing_to_do_doubles_nothing(again):
    before = store(again).runs(), [store(again).metrics(run) for run, _ in store(again).runs().values()]
    files = {path: path.stat().st_mtime_ns for path in again.glob("tiny/tensorboard/**/events*")}
    assert run(again, *BOTH).code == 0
    after = store(again).runs(), [store(again).metrics(run) for run, _ in store(again).runs().values()]
    assert after == before
    assert {path: path.stat().st_mtime_ns for path in again.glob("tiny/tensorboard/**/events*")} == files
    assert len(files) == COUNT


def test_what_was_never_told_is_told_later(tracked, tmp_path):
    """Results of an untracked run, or of one that was killed before its tracker heard of the end."""
    shutil.copytree(tracked / "tiny", tmp_path / "tiny", ignore=shutil.ignore_patterns("mlflow.db"))
    for path in tmp_path.glob("tiny/tensorboard/**/done"):
        path.unlink()
    said = run(tmp_path, *BOTH)
    assert said.code == 0
    assert "tracking with" not in said.out
    for key, folder in folders(tmp_path).items():
        identity, status = store(tmp_path).runs()[key]
        assert status == "FINISHED"
        found = store(tmp_path).metrics(identity)
        assert {name: found[name] for name in curves(folder)} == curves(folder)
        assert scalars(event_folder(tmp_path / "tiny/tensorboard", key)).keys() >= {
            f"loss/{name}" for name in curves(folder)
        }


def test_a_failed_job_is_marked_failed(needed, tmp_path):
    part = ("--only", "scratch/tissue/*", "--set", "tasks.tissue.adapt.lr=1e30")
    said = run(tmp_path, *BOTH, part=part)
    assert said.code == 1
    ((key, folder),) = folders(tmp_path).items()
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    identity, status = store(tmp_path).runs()[key]
    assert status == "FAILED"
    assert "the loss is not finite" in store(tmp_path).texts("tags", identity)["mribench.reason"]
    assert set(store(tmp_path).metrics(identity)) == {"loss", "total"}, "what it logged before it failed"
    place = event_folder(tmp_path / "tiny/tensorboard", key)
    assert text(place, "state").startswith("failed the loss is not finite")
    assert set(scalars(place)["loss/total"]) == {0}

    said = run(tmp_path, *BOTH, part=part)  # the same again
    assert said.code == 1
    assert store(tmp_path).runs() == {key: (identity, "FAILED")}
    assert set(store(tmp_path).metrics(identity)["total"]) == {0}
    assert set(scalars(place)["loss/total"]) == {0}


def test_where_the_stores_are_is_an_option(needed, tmp_path):
    part = ("--only", "identity/denoise/test/HH/*")
    events = f"tensorboard:folder={tmp_path / 'events'}"
    uri = f"mlflow:uri=sqlite:///{tmp_path / 'mine.db'},experiment=of mine"
    assert run(tmp_path / "r", "--track", events, "--track", uri, part=part).code == 0
    assert not list((tmp_path / "r/tiny").glob("mlflow*"))
    assert not (tmp_path / "r/tiny/tensorboard").exists()
    assert len(list((tmp_path / "events").rglob("events.out.tfevents.*"))) == 1
    ((identity, status),) = Store(tmp_path / "mine.db").runs().values()
    assert status == "FINISHED"
    (folder,) = folders(tmp_path / "r").values()
    assert set(Store(tmp_path / "mine.db").metrics(identity)) == {*scores(folder), "wall_s"}
    names = Store(tmp_path / "mine.db")._rows("select name from experiments")
    assert ("of mine",) in names


def test_mlflow_takes_its_own_environment_variable(needed, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'by-env.db'}")
    part = ("--only", "identity/denoise/test/HH/*")
    assert run(tmp_path / "r", "--track", "mlflow", part=part).code == 0
    assert len(Store(tmp_path / "by-env.db").runs()) == 1


def test_the_command_says_what_it_can_track():
    (option,) = [found for found in cli.get_command(None, "run").params if found.name == "track"]
    assert option.multiple
    assert "mribench list tracker" in option.help


def test_the_packages_are_imported_when_they_are_used(needed):
    """Not by listing the trackers, nor by making one; MONAI, which jobs need, imports them by itself."""
    program = (
        "import sys\n"
        "from mribench_tracking.plugin import mribench_entries\n"
        "entries = {entry.name: entry for entry in mribench_entries()}\n"
        "for name in sys.argv[1:]: entries[name].factory(entries[name].options())\n"
        "print(*sorted({*sys.argv[1:], 'wandb', 'torch'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program, "tensorboard", "mlflow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
