"""The embed job on a phantom cohort of 8 mm, run as the worker runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from specifications import content, embed_spec, keep
from torch import Tensor

from mribench.data.prepare import Reader, load_image
from mribench.errors import DataError
from mribench.execute.worker import run_job
from mribench.interfaces import Dataset, DatasetRef, Encoder, EncoderRef, Scan
from mribench.jobs import Context, Outcome, embedding, run_spec
from mribench.jobs.embedding import MIN_FOREGROUND, embed, windows
from mribench.jobs.model import new_encoder
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results import read_json
from mribench.results.cell import EmbedCell
from mribench.results.measures import MEASURES
from mribench.results.records import EMBEDDING_SCHEMA, INVARIANCE_SCHEMA, JOB_SCHEMA, read_tables, write_table
from mribench.results.specification import EmbedSpec
from mribench.seeding import numpy_generator
from mribench.training.weights import save_weights

SITES = {"Guys": 3, "HH": 3}
SEQUENCES = ["T1w", "T2w", "PDw"]
CELL = {
    "benchmark": "tiny", "profile": "corrected", "method": "random-frozen", "views": None, "objective": None,
    "encoder": "cnn", "arm": "random-frozen", "dataset": "ixi", "seed": 0,
}  # fmt: skip
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def cohort(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The component of a cohort that lies on disk in IXI's layout."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("ixi")
    phantom = {"name": "phantom", "layout": "ixi", "sites": SITES, "spacing_mm": 8, "seed": 1}
    registry.resolve(DatasetRef.model_validate(phantom), "test", "corrected").make().write(folder)
    return {"name": "ixi", "root": str(folder)}


def dataset_of(registry: Registry, component: dict[str, Any]) -> Dataset:
    made: Dataset = registry.resolve(DatasetRef.model_validate(component), "test", "corrected").make()
    return made


@pytest.fixture(scope="module")
def spec(registry: Registry, cohort: dict[str, Any]) -> EmbedSpec:
    subjects = dataset_of(registry, cohort).subjects()
    return embed_spec(
        data=DatasetRef.model_validate(cohort),
        subjects=tuple(subject.id for subject in subjects),
        sequences=tuple(SEQUENCES),
        encoder=EncoderRef.model_validate({"name": "cnn", "features": [4, 8]}),
        patch_vox=8,
        spacing_mm=8,
        cell=EmbedCell(**CELL),
        split_digest="0123456789abcdef",
    )


@pytest.fixture
def run(registry: Registry, spec: EmbedSpec, tmp_path: Path) -> Run:
    """Runs the job with some of what it is asked changed."""

    def _run(**changes: Any) -> Outcome:
        context = Context(registry, tmp_path / "key", tmp_path, torch.device("cpu"), lambda a, b: None, 60.0)
        return run_spec(replace(spec, **changes), context)

    return _run


def table(outcome: Outcome, name: str) -> pd.DataFrame:
    rows, schema = outcome.tables[f"{name}.parquet"]
    return pa.Table.from_pylist(rows, schema=schema).to_pandas()


# End to end


def test_rows_of_a_whole_cohort(run: Run, spec: EmbedSpec) -> None:
    outcome = run()
    scans, found = table(outcome, "embeddings"), table(outcome, "invariance")
    assert len(scans) == 6 * 3
    assert set(scans["status"]) == {"ok"}
    assert tuple(dict.fromkeys(scans["subject"])) == spec.subjects
    assert scans.groupby("site")["subject"].nunique().to_dict() == SITES
    assert {len(embedding) for embedding in scans["embedding"]} == {8}
    assert scans["n_windows"].between(1, 27).all()
    assert scans["n_windows"].max() > 8
    assert set(scans["method"]) == {"random-frozen"}
    assert set(scans["job_key"]) == {"key"}
    assert set(found["measure"]) == set(MEASURES)
    for name, measure in MEASURES.items():
        mine = found[found["measure"] == name]
        assert set(mine["status"]) == {"ok"}, name
        assert mine["value"].notna().all()
        assert (mine["subject"] == "").sum() == (0 if measure.per_subject else 1)
        if measure.per_subject:
            assert set(mine["subject"]) == set(spec.subjects)
    assert set(found["split_digest"]) == {"0123456789abcdef"}
    assert set(found["patch_vox"]) == {8}
    whole = found[found["subject"] == ""].set_index("measure")
    assert whole.loc["decode:sequence", "chance"] == pytest.approx(1 / 3)
    assert whole.loc["decode:site", "chance"] == 0.5
    assert set(whole["n"]) == {18}
    assert set(whole["n_windows"]) == {scans["n_windows"].sum()}
    assert set(whole["n_failed"]) == {0}


def test_job_row_says_that_nothing_was_trained(run: Run) -> None:
    job = run().job
    assert job["encoder_digest_before"] == job["encoder_digest_after"]
    assert job["parameters_trained"] == 0
    assert job["parameters"] > 0
    assert job["voxels_seen"] == job["views_seen"] * 8**3
    assert set(job) <= set(JOB_SCHEMA.names)


def test_the_same_bits_again(run: Run) -> None:
    first, again = run(), run()
    for name in ("embeddings", "invariance"):
        pd.testing.assert_frame_equal(table(first, name), table(again, name), check_exact=True)


def test_an_embedding_depends_on_its_scan_alone(run: Run, spec: EmbedSpec) -> None:
    every = table(run(), "embeddings").set_index(["subject", "sequence"])["embedding"]
    few = table(run(subjects=spec.subjects[3:0:-1], sequences=("PDw", "T1w")), "embeddings")
    assert len(few) == 3 * 2
    for row in few.itertuples():
        np.testing.assert_array_equal(row.embedding, every[row.subject, row.sequence])


def test_seeds_have_encoders_of_their_own_and_pretrained_weights_are_used(
    run: Run, registry: Registry, spec: EmbedSpec, tmp_path: Path
) -> None:
    cells = [EmbedCell(**CELL | {"seed": seed}) for seed in (0, 1)]
    seed0, seed1 = (np.stack(table(run(cell=cells[seed]), "embeddings")["embedding"]) for seed in (0, 1))
    assert not np.allclose(seed0, seed1)
    context = Context(registry, tmp_path / "key", tmp_path, torch.device("cpu"), lambda a, b: None, 60.0)
    encoder = new_encoder(replace(spec, cell=cells[1]), context)
    (tmp_path / "pretrained").mkdir()
    save_weights(tmp_path / "pretrained" / "encoder.safetensors", encoder.state_dict())
    loaded = np.stack(table(run(pretrain_key="pretrained"), "embeddings")["embedding"])
    np.testing.assert_array_equal(loaded, seed1)


def test_the_worker_writes_the_tables(registry: Registry, spec: EmbedSpec, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "abc"
    folder.mkdir(parents=True)
    keep(folder, spec, "random-frozen/embed", content(entries=()))
    status = run_job(folder, registry)
    assert status is not None
    assert status.state == "done", status
    found = read_tables([folder / "invariance.parquet"], INVARIANCE_SCHEMA)
    assert set(found["job_key"]) == {"abc"}
    assert len(read_tables([folder / "embeddings.parquet"], EMBEDDING_SCHEMA)) == 18
    [job] = read_tables([folder / "job.parquet"], JOB_SCHEMA).to_dict("records")
    assert (job["kind"], job["split_digest"]) == ("embed", "0123456789abcdef")
    assert read_json(folder / "status.json")["state"] == "done"
    assert not (folder / "records.parquet").exists()


def test_rows_outside_the_schema_are_an_error(run: Run, tmp_path: Path) -> None:
    rows, schema = run().tables["invariance.parquet"]
    with pytest.raises(ValueError, match="fraction"):
        write_table(tmp_path / "x.parquet", [{**row, "fraction": 1.0} for row in rows], schema)


def test_progress_is_told(registry: Registry, spec: EmbedSpec, tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    context = Context(
        registry, tmp_path / "key", tmp_path, torch.device("cpu"), lambda a, b: ticks.append((a, b)), 60.0
    )
    run_spec(replace(spec, subjects=spec.subjects[:2]), context)
    assert ticks == [(n, 6) for n in range(1, 7)]


# What cannot be read, or is not there


@pytest.fixture
def broken(registry: Registry, cohort: dict[str, Any]) -> Iterator[Callable[[int, str], str]]:
    """Cuts an image of a subject short; brings it back after the test."""
    kept: dict[Path, bytes] = {}

    def _break(number: int, sequence: str) -> str:
        subject = dataset_of(registry, cohort).subjects()[number]
        [scan] = [scan for scan in subject.scans if scan.sequence == sequence]
        path = scan.images["image"]
        kept[path] = path.read_bytes()
        path.write_bytes(kept[path][: len(kept[path]) // 2])
        return subject.id

    yield _break
    for path, original in kept.items():
        path.write_bytes(original)


def test_a_broken_scan_is_a_failed_row(
    run: Run, broken: Callable[[int, str], str], caplog: pytest.LogCaptureFixture
) -> None:
    before = table(run(), "invariance")
    subject = broken(1, "T2w")
    with caplog.at_level(logging.WARNING):
        outcome = run()
    scans, found = table(outcome, "embeddings"), table(outcome, "invariance")
    [failed] = scans[scans["status"] == "failed"].to_dict("records")
    assert (failed["subject"], failed["sequence"], failed["n_windows"]) == (subject, "T2w", 0)
    assert failed["embedding"] is None
    assert f"{subject}  T2w is counted as failed" in caplog.text
    mine = found[found["subject"] == subject].set_index("measure")
    alone = [name for name, measure in MEASURES.items() if measure.per_subject]
    assert set(mine.loc[alone, "status"]) == {"failed"}
    assert mine.loc[alone, "value"].isna().all()
    assert set(mine["n_failed"]) == {1}
    assert mine.loc["similarity:within", "reason"] == "scans that could not be embedded: 1"
    others = found[(found["subject"] != subject) & (found["subject"] != "")]
    assert set(others["status"]) == {"ok"}
    whole = found[found["subject"] == ""].set_index("measure")
    assert set(whole["n_failed"]) == {1}
    assert whole.loc["decode:sequence", "n"] == 17
    # T2w has 2 subjects left at one site: it is left out of decode:site, and named
    assert whole.loc["decode:site", "status"] == "ok"
    assert "left out: T2w: 2 subjects of class" in whole.loc["decode:site", "reason"]
    assert len(found) >= len(before) - 2


def test_a_subject_without_any_readable_scan_still_has_rows(
    run: Run, broken: Callable[[int, str], str]
) -> None:
    for sequence in SEQUENCES:
        subject = broken(0, sequence)
    found = table(run(), "invariance")
    mine = found[found["subject"] == subject]
    assert sorted(mine["measure"]) == sorted(
        name for name, measure in MEASURES.items() if measure.per_subject
    )
    assert set(mine["status"]) == {"failed"}
    assert set(mine["n_failed"]) == {3}


def test_nothing_readable_is_not_measurable(run: Run, broken: Callable[[int, str], str]) -> None:
    names = [broken(number, "T1w") for number in range(2)]
    found = table(run(subjects=names, sequences=["T1w"]), "invariance")
    assert set(found.loc[found["subject"] == "", "reason"]) == {"no scan could be embedded"}
    assert set(found.loc[found["subject"] == "", "status"]) == {"not-measurable"}
    assert set(found.loc[found["subject"] != "", "status"]) == {"failed"}


def test_sequences_that_nobody_has_are_said(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outcome = run(sequences=["T1w", "FLAIR"])
    assert "6 of 6 subjects have no FLAIR scan" in caplog.text
    assert set(table(outcome, "embeddings")["sequence"]) == {"T1w"}
    found = table(outcome, "invariance").set_index("measure")
    assert found.loc["decode:sequence", "reason"] == "one class only (T1w)"
    assert set(found.loc[["similarity:within"], "status"]) == {"not-measurable"}


def test_an_embedding_that_is_not_finite_is_a_failed_scan(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "embed", lambda *arguments: torch.full((8,), torch.nan))
    outcome = run()
    assert set(table(outcome, "embeddings")["status"]) == {"failed"}
    assert table(outcome, "embeddings")["embedding"].isna().all()


def test_a_set_of_maps_has_no_image(registry: Registry, cohort: dict[str, Any]) -> None:
    dataset = dataset_of(registry, cohort)
    subject = dataset.subjects()[0]
    maps = Scan("qmri", {"PD": Path("pd.nii")})
    with pytest.raises(DataError, match="qmri is a set of maps"):
        load_image(Reader(dataset), subject, maps, None)


def test_load_image_is_what_a_task_sees(registry: Registry, cohort: dict[str, Any]) -> None:
    dataset = dataset_of(registry, cohort)
    subject = dataset.subjects()[0]
    loaded = load_image(Reader(dataset), subject, subject.scans[0], 10.0)
    assert loaded.image.shape[1:] == loaded.foreground.shape
    assert loaded.image.mean().item() == pytest.approx(0, abs=1e-3)
    assert loaded.image.std().item() == pytest.approx(1, abs=1e-2)
    assert 0.1 < loaded.foreground.float().mean().item() < 0.8
    assert set(loaded.counts.values()) == {0}


# Windows


def box(shape: tuple[int, int, int], low: tuple[int, ...], high: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_windows_cover_the_box_of_the_head_evenly() -> None:
    found = windows(box((40, 40, 40), (4, 4, 4), (36, 20, 12)), 8)
    assert sorted({corner[0] for corner in found}) == [4, 16, 28]  # four would cover it, three are the most
    assert sorted({corner[1] for corner in found}) == [4, 12]
    assert {corner[2] for corner in found} == {4}
    assert len(found) == 6


def test_at_most_27_windows() -> None:
    assert len(windows(np.ones((96, 96, 96), bool), 16)) == 27


def test_a_window_longer_than_the_head_lies_around_it_inside_the_volume() -> None:
    assert windows(box((40, 40, 40), (18, 18, 18), (24, 24, 24)), 16) == [(13, 13, 13)]
    [corner] = windows(box((40, 40, 40), (0, 0, 34), (6, 6, 40)), 16)
    assert corner == (0, 0, 24)


def test_a_volume_smaller_than_a_window_is_padded_on_both_sides() -> None:
    assert windows(np.ones((9, 6, 9), bool), 9) == [(0, -1, 0)]
    assert windows(np.ones((8, 6, 20), bool), 9) == [(0, -1, 0), (0, -1, 6), (0, -1, 11)]


def test_windows_of_air_are_left_out() -> None:
    mask = box((32, 32, 32), (0, 0, 0), (32, 8, 8)) | box((32, 32, 32), (0, 0, 0), (8, 32, 8))
    mask |= box((32, 32, 32), (31, 31, 31), (32, 32, 32))
    found = windows(mask, 8)
    assert (24, 24, 24) not in found
    for corner in found:
        inside = mask[tuple(slice(c, c + 8) for c in corner)]
        assert inside.mean() >= MIN_FOREGROUND


def test_where_no_window_is_full_enough_the_fullest_is_taken() -> None:
    mask = box((32, 32, 32), (0, 0, 0), (1, 1, 1)) | box((32, 32, 32), (28, 28, 28), (32, 32, 32))
    assert windows(mask, 8) == [(24, 24, 24)]


def test_no_foreground_at_all_gives_a_window() -> None:
    assert len(windows(np.zeros((16, 16, 16), bool), 8)) == 1


class Mean(Encoder):
    """Embeds a window as its mean, its first and its last voxel."""

    channels = (1,)
    strides = (1,)
    embedding_dim = 3

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        return [image]

    def pool(self, feature_maps: list[Tensor]) -> Tensor:
        flat = feature_maps[0].flatten(1)
        return torch.stack([flat.mean(1), flat[:, 0], flat[:, -1]], dim=1)


def test_the_embedding_is_the_mean_over_windows_with_the_border_repeated() -> None:
    image = torch.from_numpy(numpy_generator("embed").random((1, 6, 10, 10), dtype=np.float32))
    corners = [(-1, 0, 0), (-1, 2, 2)]
    found = embed(Mean(), image, corners, 8, torch.device("cpu"))
    padded = np.pad(image[0].numpy(), ((1, 1), (0, 0), (0, 0)), mode="edge")
    parts = [padded[:, j : j + 8, k : k + 8] for _, j, k in corners]
    expected = np.mean([[part.mean(), part[0, 0, 0], part[-1, -1, -1]] for part in parts], axis=0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert found.dtype == torch.float32


def test_embedding_draws_no_randomness(run: Run) -> None:
    torch.manual_seed(1)
    with_dropout = EncoderRef.model_validate({"name": "cnn", "features": [4, 8], "dropout": 0.5})
    first = table(run(encoder=with_dropout), "embeddings")["embedding"]
    torch.manual_seed(2)
    again = table(run(encoder=with_dropout), "embeddings")["embedding"]
    np.testing.assert_array_equal(np.stack(first), np.stack(again))
