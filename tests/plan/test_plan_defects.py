"""Defects switched on one at a time: which jobs they add, and which they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mribench.config import load_benchmark, resolve
from mribench.defects import empty_mask_policy
from mribench.errors import ConfigError, LeakageError
from mribench.interfaces import EmptyMaskPolicy
from mribench.plan import Plan, make_missing, open_cohorts, plan_all
from mribench.plan.manifest import make_manifest
from mribench.plugins import load_registry
from mribench.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cohorts"))


@pytest.fixture
def tiny(repository: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRIBENCH_CACHE", cache)
    return repository / "tests" / "benchmarks" / "tiny.yaml"


def plan(file: Path, registry: Registry, *sets: str) -> Plan:
    resolved = resolve(load_benchmark(file, sets), registry)
    make_missing(resolved, lambda what, done, total: None)
    return plan_all(resolved, registry, open_cohorts(resolved))


def added(file: Path, registry: Registry, defect: str, *sets: str) -> dict[str, set[str]]:
    """Return the kinds of job and the arms that measuring one defect adds."""
    before = {job.key for job in plan(file, registry, *sets).jobs}
    after = plan(file, registry, *sets, f"measure_defects=[{defect}]")
    assert before <= {job.key for job in after.jobs}, "the benchmark without the defect is still there"
    new = [job for job in after.jobs if job.key not in before]
    assert all(job.id.startswith(f"+{defect}/") for job in new)
    assert {job.cell.profile for job in new if job.cell} <= {f"corrected+{defect}"}
    return {
        "kinds": {job.kind for job in new},
        "arms": {job.cell.arm for job in new if job.cell},
    }


ALL = {"pretrain", "adapt", "evaluate"}


@pytest.mark.parametrize(
    ("defect", "kinds", "arms"),
    [
        ("frozen-augmentation", ALL, {"frozen", "finetune", "scratch"}),
        ("active-dropout", {"adapt", "evaluate"}, {"frozen"}),
        ("unpaired-noise", {"evaluate"}, {"frozen", "finetune", "scratch"}),
        ("test-in-training", {"adapt", "evaluate"}, {"frozen", "finetune", "scratch"}),
        ("sorted-prefix-splits", ALL, {"frozen", "finetune", "scratch"}),
        ("signed-flair", ALL, {"frozen", "finetune"}),
        ("summed-reconstruction", ALL, {"frozen", "finetune"}),
        ("dropped-failures", set(), set()),
        ("unit-peak", set(), set()),
    ],
)
def test_a_measured_defect_adds_the_jobs_that_it_bears_on(
    tiny: Path, registry: Registry, defect: str, kinds: set[str], arms: set[str]
) -> None:
    assert added(tiny, registry, defect) == {"kinds": kinds, "arms": arms}


def test_a_defect_that_changes_nothing_is_said(tiny: Path, registry: Registry) -> None:
    made = plan(tiny, registry, "measure_defects=[fixed-mprage]")
    assert "fixed-mprage changes no job of this benchmark" in made.notes


def test_no_key_is_shared_between_variants(tiny: Path, registry: Registry) -> None:
    made = plan(tiny, registry, "measure_defects=[active-dropout, frozen-augmentation, unpaired-noise]")
    keys = [job.key for job in made.jobs]
    assert len(set(keys)) == len(keys)
    known: set[str | None] = set()
    for job in made.jobs:
        assert known.issuperset(job.needs), job.id
        known.add(job.key)


def test_leakage_on_request_is_noted(tiny: Path, registry: Registry) -> None:
    made = plan(tiny, registry, "defects=[test-in-training]")
    assert any(note.startswith("leakage, as asked for") for note in made.notes)
    assert all(job.cell.profile == "corrected+test-in-training" for job in made.jobs if job.cell)
    assert not any("leakage" in note for note in plan(tiny, registry).notes)


def test_one_person_in_another_layout_and_sequence_is_refused_by_name(tiny: Path, registry: Registry) -> None:
    sets = (
        'data.again={name: ixi, root: "${AGAIN}", namespace: phantom-ixi-1}',
        "splits.again={train: 1.0, validation: 0.0, test: 0.0}",
        "defaults.pretrain.data=again",
    )
    cohort = resolve(load_benchmark(tiny, ()), registry).datasets["ixi"].make()
    if cohort.missing():
        cohort.make()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGAIN", str(cohort.folder))
        with pytest.raises(LeakageError) as caught:
            plan(tiny, registry, *sets)
    assert "pretraining (again) is also in the test set of ixi" in caught.value.message
    assert "phantom-ixi-1:IXI" in caught.value.message


@pytest.mark.parametrize(
    ("sets", "message", "hint"),
    [
        (["defects=[frozen-augmentatoin]"], "defects: there is no defect", "frozen-augmentation"),
        (["measure_defects=[nonsense]"], "measure_defects: there is no defect 'nonsense'", ""),
        (["measure_defects=[unit-peak]", "profile=as-released"], "has every defect already", "corrected"),
        (
            ["defects=[unit-peak]", "measure_defects=[unit-peak]"],
            "'unit-peak' is in 'defects' too",
            "",
        ),
        (
            ["methods.seqinv.views={name: seqinv, defects: [signed-flair]}"],
            "views 'seqinv' has no defect 'signed-flair'",
            "",
        ),
        (["invariance={qrmi: {sequences: [T1w]}}"], "invariance.qrmi", "qmri"),
        (["invariance={ixi: {sequences: []}}"], "invariance.ixi.sequences", ""),
    ],
)
def test_wrong_names_are_refused_with_their_place(
    tiny: Path, registry: Registry, sets: list[str], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(load_benchmark(tiny, sets), registry)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_the_manifest_says_what_is_shown_and_measured(tiny: Path, registry: Registry) -> None:
    config = load_benchmark(
        tiny, ["defects=[encoder-clipping]", "measure_defects=[active-dropout, unit-peak, dropped-failures]"]
    )
    resolved = resolve(config, registry)
    make_missing(resolved, lambda what, done, total: None)
    cohorts = open_cohorts(resolved)
    said = make_manifest(resolved, cohorts, plan_all(resolved, registry, cohorts), "tiny.yaml")
    assert said.profiles == ("corrected+encoder-clipping",)
    assert {profile: set(shown) for profile, shown in said.shown_defects.items()} == {
        "corrected+encoder-clipping": {"encoder-clipping"}
    }
    measured = {defect.name: defect for defect in said.measured_defects}
    assert measured["active-dropout"].profile == "corrected+active-dropout+encoder-clipping"
    assert said.variants == ("corrected+active-dropout+encoder-clipping",)
    assert measured["unit-peak"].metrics == {"psnr:range": "psnr:l1", "psnr:range:whole": "psnr:l1:whole"}
    assert measured["unit-peak"].profile is None
    assert {defect.base for defect in measured.values()} == {"corrected+encoder-clipping"}
    dropped = measured["dropped-failures"].empty_masks
    assert dropped == EmptyMaskPolicy("dropped", "mm")
    assert said.empty_masks == {"corrected+encoder-clipping": None}, "measured, not switched on"


def test_the_released_profile_shows_every_defect_it_can(tiny: Path, registry: Registry) -> None:
    resolved = resolve(load_benchmark(tiny, ["profile=as-released"]), registry)
    shown = set(resolved.shown_defects())
    assert {"frozen-augmentation", "active-dropout", "signed-flair", "unit-peak"} <= shown
    assert "test-in-training" not in shown, "the released code leaks where there is one site only"
    sound = resolve(load_benchmark(tiny, ["profile=as-released", "defects=[]"]), registry)
    assert sound.shown_defects() == {}
    policy = empty_mask_policy(resolved.defects.values())
    assert policy is not None
    assert (policy.name, policy.prediction, policy.reference) == ("256mm", 256.0, None), "leaves out least"
    assert empty_mask_policy(sound.defects.values()) is None


def test_another_metric_trains_nothing_again(tiny: Path, registry: Registry) -> None:
    before = {job.key for job in plan(tiny, registry).jobs}
    more = plan(tiny, registry, "tasks.denoise.task.metrics=[psnr:range, psnr:l1]")
    assert {job.kind for job in more.jobs if job.key not in before} == {"evaluate"}


def test_embeddings_are_planned_for_every_encoder(tiny: Path, registry: Registry) -> None:
    sets = (
        "invariance={ixi: {sequences: [T1w, T2w], patch_vox: 8, spacing_mm: 8}}",
        "reference_arms=[scratch, random-frozen]",
    )
    made = [job for job in plan(tiny, registry, *sets).jobs if job.kind == "embed"]
    assert {job.id for job in made} == {"seqinv/invariance/ixi/seed0", "random-frozen/invariance/ixi/seed0"}
    by_arm = {job.cell.arm: job for job in made if job.cell}
    assert by_arm["frozen"].needs == (by_arm["frozen"].spec.pretrain_key,)
    assert by_arm["random-frozen"].needs == ()
    assert len(by_arm["frozen"].spec.subjects) == 2
