"""docs/subject-tasks.md predicts age and sex from a BIDS folder: its file and its commands."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from command_line import follow
from safetensors.torch import load_file
from sklearn.metrics import mean_absolute_error, roc_auc_score

from mribench.interfaces import DatasetRef, TaskRef
from mribench.plugins import load_registry
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.results.load import RunData, load_run
from mribench.results.predictions import load_predictions
from mribench.results.records import PREDICTIONS
from mribench.results.specification import AdaptSpec, read_specification
from mribench.results.status import read_status, write_status
from mribench.testing import check_entry
from mribench.verify import check_integrity, open_results
from mribench.volumes import read_volume, write_volume

DOCUMENT = Path(__file__).parent.parent / "docs" / "subject-tasks.md"
WITHOUT_AGE = "03"


def blocks(language: str) -> list[str]:
    """Return the blocks of a language in the document."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    return found


def put_bids_folder(root: Path) -> None:
    """Write phantoms as a BIDS folder; one person's age is not known."""
    component = DatasetRef.model_validate(
        {"name": "phantom", "layout": "ixi", "sites": {"Guys": 14}, "spacing_mm": 8, "seed": 5}
    )
    phantom = load_registry().resolve(component, "test", "corrected").make()
    phantom.make()
    rows = ["participant_id\tage\tsex"]
    for number, subject in enumerate(phantom.subjects(), start=1):
        name = f"sub-{number:02d}"
        age = "n/a" if name.endswith(WITHOUT_AGE) else subject.covariates["age"]
        rows.append(f"{name}\t{age}\t{subject.covariates['sex']}")
        image = next(scan for scan in subject.scans if scan.sequence == "T1w").images["image"]
        write_volume(root / name / "anat" / f"{name}_T1w.nii.gz", read_volume(image))
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    put_bids_folder(folder / "my-study")
    (folder / "my-people.yaml").write_text(blocks("yaml")[0])
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What each command of the document printed."""
    lines = [shlex.split(line)[1:] for line in blocks("bash")[0].splitlines()]
    return {words[0]: follow(folder, *words) for words in lines}


@pytest.fixture
def results(folder: Path, said: dict[str, str]) -> Path:
    assert said
    return folder / "results" / "my-people"


@pytest.fixture
def run(results: Path) -> RunData:
    return load_run(results)


def test_the_folder_is_laid_out_as_the_document_says(folder: Path) -> None:
    for line in blocks("text")[0].split():
        assert (folder / line).is_file(), line


def test_the_plan_says_who_lacks_what_and_which_arms_a_probe_has(said: dict[str, str]) -> None:
    assert list(said) == ["data", "plan", "run", "report"]
    assert "sex of all, age of 13" in said["data"], said["data"]
    left_out = [line for line in said["plan"].splitlines() if "and are left out" in line]
    assert left_out, said["plan"]
    assert all(line.endswith(f"lack age, and are left out: bids:{WITHOUT_AGE}") for line in left_out)
    assert {line.split(":")[1].strip() for line in left_out} == {"age", "age-trained"}
    assert "age: its probe is fitted on frozen encoders, so it has no scratch cells" in said["plan"]


def test_the_report_has_every_metric(said: dict[str, str]) -> None:
    for metric in ("absolute-error", "pearson", "r2", "auroc", "balanced-accuracy"):
        assert metric in said["report"], said["report"]


def test_rows_of_subjects_have_the_value_of_the_set_as_their_mean(run: RunData, results: Path) -> None:
    predictions = load_predictions(results)
    assert not run.scores["status"].eq("failed").any()
    assert set(predictions["job_key"]) == set(run.cells["key"])
    compared = 0
    for key, rows in predictions.groupby("job_key"):
        scores = run.scores[run.scores["job_key"].eq(key)]
        means = scores.groupby("metric", observed=True)["value"].mean()
        values = np.stack(rows["prediction"].to_numpy())
        assert scores.groupby("metric", observed=True)["subject"].nunique().eq(len(rows)).all()
        if rows["label"].iloc[0] == "age":
            assert means["absolute-error"] == pytest.approx(mean_absolute_error(rows["target"], values[:, 0]))
            compared += 1
        else:
            assert [*rows["classes"].iloc[0]] == ["female", "male"]
            assert means["auroc"] == pytest.approx(roc_auc_score(rows["target"], values[:, 1]))
            np.testing.assert_allclose(values.sum(axis=1), 1)
            compared += 1
    assert compared == len(run.cells) == 10


def test_targets_are_those_of_the_table_and_who_lacks_one_is_nowhere(folder: Path, results: Path) -> None:
    table = pd.read_csv(folder / "my-study" / "participants.tsv", sep="\t").set_index("participant_id")
    predictions = load_predictions(results)
    ages = predictions[predictions["label"].eq("age")]
    assert len(ages)
    for row in ages.itertuples():
        assert row.target == table["age"][row.subject.replace("bids:", "sub-")]
    assert f"bids:{WITHOUT_AGE}" not in set(ages["subject"])
    for file in results.glob("jobs/*/job.json"):
        text = file.read_text()
        assert '"covariate":"age"' not in text.replace(" ", "") or f"bids:{WITHOUT_AGE}" not in text


def test_without_an_image_everybody_is_predicted_what_training_subjects_are_on_average(
    run: RunData, results: Path
) -> None:
    predictions = load_predictions(results)
    alone = predictions[predictions["arm"].eq("no-image")]
    assert set(alone["task"]) == {"age", "age-trained", "sex"}
    assert alone["encoder"].isna().all()
    for key, rows in alone.groupby("job_key"):
        adapt = read_specification(results / "jobs" / run.cells.set_index("key").at[key, "adapt"]).spec
        assert isinstance(adapt, AdaptSpec)
        known = [adapt.covariates[subject] for subject in adapt.train]
        if rows["task"].iloc[0] == "sex":
            women = [str(person["sex"]).upper() == "F" for person in known]
            expected = [np.mean(women), 1 - np.mean(women)]
        else:
            expected = [np.mean([person["age"] for person in known])]
        np.testing.assert_allclose(np.stack(rows["prediction"].to_numpy()), [expected] * len(rows))
    shown = cell_frame(run, LEADERBOARD)
    of_age = shown[shown["row"].eq("no-image") & shown["task"].eq("age")]
    assert dict(zip(of_age["metric"], of_age["status"], strict=True)) == {"absolute-error": "ok", "r2": "ok"}


def test_a_probe_changes_no_encoder_and_says_what_it_chose(run: RunData, results: Path) -> None:
    probes = sorted(results.glob("jobs/*/probe.safetensors"))
    assert len(probes) == 4
    for path in probes:
        state = load_file(path)
        assert {"penalty", "neighbours"} & set(state)
        row = run.jobs.set_index("job_key").loc[path.parent.name]
        assert row["encoder_digest_before"] == row["encoder_digest_after"]
        assert row["parameters_trained"] == 0


def test_predictions_are_those_of_the_stored_probe_again(folder: Path) -> None:
    """Every adapt and evaluate job run again gives the same bits."""
    verified = follow(folder, "verify", "my-people.yaml", "--set", "size=try", "--all", "--only", "*/age*/*")
    assert "15 of 21 done jobs verified: 15 same; files of all done jobs: consistent." in verified


def test_a_prediction_that_is_gone_is_a_contradiction(results: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(results, tmp_path / "my-people")
    path = next(copied.glob(f"jobs/*/{PREDICTIONS}"))
    rows = pq.read_table(path)
    gone = rows["subject"][0].as_py()
    pq.write_table(rows.slice(1), path)
    known = read_status(path.parent)  # without digests, which tell of the change as well
    assert known is not None
    write_status(path.parent, dataclasses.replace(known, files={}))
    (problems,) = check_integrity(open_results(copied)).values()
    assert problems == [f"{PREDICTIONS} has not the subjects that were asked for: {gone}"]


def test_another_age_makes_its_own_task_stale(folder: Path, said: dict[str, str]) -> None:
    assert said
    table = folder / "my-study" / "participants.tsv"
    before = table.read_text()
    first = before.splitlines()[1]
    name, age, sex = first.split("\t")
    try:
        table.write_text(before.replace(first, f"{name}\t{float(age) + 1}\t{sex}"))
        plan = follow(folder, "plan", "my-people.yaml", "--set", "size=try", "--jobs")
    finally:
        table.write_text(before)
    stale = [line for line in plan.splitlines() if line.startswith("stale: covariates.bids:01.age")]
    assert [line for line in stale if "/age/" in line]
    assert not [line for line in stale if "/sex/" in line]


def test_the_documents_own_task_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(block for block in blocks("python") if "class Bmi" in block)
    (tmp_path / "my_bmi.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    entry = importlib.import_module("my_bmi").mribench_entries()[0]
    registry = load_registry()
    check_entry(entry, registry=registry)
    task = registry.resolve(TaskRef(name="bmi"), "test", "corrected").make()
    assert task.target({"weight_kg": 75, "height_m": 1.5}) == pytest.approx(100 / 3)
    assert task.target({"weight_kg": 15, "height_m": 1.0}) is None
