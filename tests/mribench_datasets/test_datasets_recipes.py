"""The recipes of docs/own-data.md for collections, on imitations of their published layouts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from imitated import image, mask

from mribench.testing import check_dataset

DOCUMENT = Path(__file__).parents[2] / "docs" / "own-data.md"


@pytest.fixture(scope="module")
def recipes() -> dict[str, dict[str, Any]]:
    """Return the datasets of the document's YAML by their names in it."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return {name: given for block in blocks for name, given in yaml.safe_load(block).get("data", {}).items()}


def scans_of(dataset: Any) -> list[tuple[str, str, str]]:
    check_dataset(dataset)
    return [(s.name, scan.session, scan.sequence) for s in dataset.subjects() for scan in s.scans]


PATHS = (
    "ds000001/sub-01/anat/sub-01_T1w.nii.gz",
    "ds000001/sub-01/anat/sub-01_T2w.nii.gz",
    "ds000002/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
    "ds000002/sub-01/ses-b/dwi/sub-01_ses-b_dwi/sub-01_ses-b_desc-mean_dwi.nii.gz",
)
FOUND = [
    ("ds000001/sub-01", "", "T1w"), ("ds000001/sub-01", "", "T2w"), ("ds000002/sub-01", "a", "T1w"),
    ("ds000002/sub-01", "b", "MD"),
]  # fmt: skip


def modality(path: str) -> str:
    return "MD" if "dwi" in path else path.removesuffix(".nii.gz").rpartition("_")[2]


def test_openmind(build, recipes, tmp_path, monkeypatch):
    lines = ["image_path,modality,derived_from,anat_mask_path,age,sex,echo_time,unique_id"]
    for seed, path in enumerate(PATHS):
        image(tmp_path / "OpenMind" / "OpenMind" / path, seed)
        mask(tmp_path / "OpenMind" / "OpenMind" / path.replace(".nii", "_anatmask.nii"))
        age = "" if seed == 3 else 20 + int(path[7])
        lines.append(
            f"{path},{modality(path)},,{path.replace('.nii', '_anatmask.nii')},{age},F,{seed},{seed}"
        )
    (tmp_path / "OpenMind" / "openneuro_metadata.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    dataset = build(**recipes["openmind"])
    assert scans_of(dataset) == FOUND
    assert [s.covariates for s in dataset.subjects()] == [{"age": 21, "sex": "F"}, {"age": 22, "sex": "F"}]
    assert [s.id for s in dataset.subjects()] == ["openneuro:ds000001/sub-01", "openneuro:ds000002/sub-01"]
    assert dataset.excluded() == []


def test_openmind_as_nnssl_lists_it(build, recipes, tmp_path, monkeypatch):
    datasets: dict[str, Any] = {}
    for seed, path in enumerate(PATHS):
        image(tmp_path / "raw" / path, seed)
        name, subject, visit = path.split("/")[:3]
        session = visit if visit.startswith("ses-") else "ses-DEFAULT"
        owner = datasets.setdefault(
            name, {"dataset_index": name, "name": None, "dataset_info": {}, "subjects": {}}
        )
        person = owner["subjects"].setdefault(
            subject, {"subject_id": subject, "subject_info": {"age": 20 + int(name[-1])}, "sessions": {}}
        )
        visits = person["sessions"].setdefault(
            session, {"session_id": session, "session_info": None, "images": []}
        )
        visits["images"].append(
            {
                "name": path.rpartition("/")[2],
                "image_path": f"$nnssl_raw/{path}",
                "modality": modality(path),
                "image_info": {"echo_time": seed, "manufacturer": "x"},
                "associated_masks": {"anonymization_mask": None, "anatomy_mask": None},
            }
        )
    listing = tmp_path / "Dataset745_OpenMind" / "pretrain_data.json"
    listing.parent.mkdir()
    collection = {"collection_index": 745, "collection_name": "Dataset745_OpenMind", "datasets": datasets}
    listing.write_text(json.dumps(collection, indent=4, sort_keys=True))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("nnssl_raw", str(tmp_path / "raw"))
    recipe = {**recipes["openmind-nnssl"], "covariates": ["age"]}
    dataset = build(**recipe)
    expected = [(name, session or "DEFAULT", sequence) for name, session, sequence in FOUND]
    assert scans_of(dataset) == expected
    assert [s.covariates for s in dataset.subjects()] == [{"age": 21}, {"age": 22}]


def test_fomo(build, recipes, tmp_path, monkeypatch):
    lines = ["dataset\tparticipant_id\tsession_id\tfilename\tManufacturer\tEchoTime"]
    for seed, (dataset, person, session, name) in enumerate(
        (
            ("PT001_Clinic", "sub-01", "ses-01", "t1w.nii.gz"),
            ("PT001_Clinic", "sub-01", "ses-02", "sub-01_ses-02_acq-x_FLAIR.nii.gz"),
            ("PT030_OpenNeuro/ds000001", "sub-01", "ses-01", "scan.nii.gz"),
        )
    ):
        image(tmp_path / "FOMO300K" / dataset / person / session / name, seed)
        lines.append(f'{dataset}\t{person}\t{session}\t{name}\tSIEMENS "x"\t{seed}')
    (tmp_path / "FOMO300K" / "mri_info.tsv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert scans_of(build(**recipes["fomo"])) == [
        ("PT001_Clinic/sub-01", "01", "t1w"),
        ("PT001_Clinic/sub-01", "02", "FLAIR"),
        ("PT030_OpenNeuro/ds000001/sub-01", "01", "scan"),
    ]
