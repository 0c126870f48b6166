"""The view generators: purity, roles of the methods, targets, records, errors."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from mribench_views.plugin import mribench_entries

from mribench.errors import ConfigError, DataError
from mribench.interfaces import View, ViewRequest, ViewsRef
from mribench.testing import check_entry

NAMES = ("mprage", "seqaug", "seqinv")
PROFILES = ("corrected", "paper", "as-released")
PATCH, SPACING_MM = 12, 4.0
PAIR = [ViewRequest(), ViewRequest()]
Fixture = Callable[..., Any]


def views(built: Any, maps: dict[str, torch.Tensor], rngs: Any, requests: Any = PAIR) -> list[View]:
    made: list[View] = built.views(maps, requests, PATCH, SPACING_MM, rngs)
    return made


@pytest.mark.parametrize("entry", mribench_entries(), ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_conformance(entry: Any, registry: Any) -> None:
    for profile in PROFILES:
        check_entry(entry, profile=profile, registry=registry)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", PROFILES)
def test_views_are_finite_standardised_and_shaped(
    name: str, profile: str, generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    built = generator(name, profile)
    edge = built.source_vox(PATCH)
    assert edge == 15
    augment_free = generator(name, profile, augment={"dropout_probability": 0.0})
    for view in views(built, head(4, edge), rngs(4)):
        assert view.image.shape == view.target.shape == (4, 1, PATCH, PATCH, PATCH)
        assert view.image.dtype == view.target.dtype == torch.float32
        assert torch.isfinite(view.image).all()
        assert torch.isfinite(view.target).all()
        assert not view.image.requires_grad
    for view in views(augment_free, head(4, edge), rngs(4)):
        flat = view.image.flatten(1)
        torch.testing.assert_close(flat.mean(1), torch.zeros(4), rtol=0, atol=1e-4)
        torch.testing.assert_close(flat.std(1), torch.ones(4), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("patch", "edge"), [(32, 39), (48, 58), (80, 96), (96, 116), (5, 6), (1, 2)])
def test_source_is_a_fifth_larger(patch: int, edge: int, generator: Fixture) -> None:
    assert generator("seqinv").source_vox(patch) == edge


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 2**40), batch=st.integers(1, 5), local=st.booleans())
def test_a_batch_is_its_samples_one_at_a_time_bit_for_bit(
    name: str, first: int, batch: int, local: bool, generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    built = generator(name)
    maps = head(5, built.source_vox(PATCH))
    requests = [*PAIR, ViewRequest("local", 0.5)] if local else PAIR
    together = views(built, {k: v[:batch] for k, v in maps.items()}, rngs(batch, first), requests)
    for index in range(batch):
        one = {k: v[index : index + 1].clone() for k, v in maps.items()}
        alone = views(built, one, rngs(1, first + index), requests)
        for whole, single in zip(together, alone, strict=True):
            assert torch.equal(whole.image[index], single.image[0])
            assert torch.equal(whole.target[index], single.target[0])
            assert whole.parameters[index] == single.parameters[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_batch_at_once_is_the_samples_one_by_one(
    name: str, generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    """What an accelerator runs (all samples in one call) is what the CPU runs sample by sample."""
    built = generator(name)
    maps = head(4, built.source_vox(PATCH))
    plans = [built._plan([PATCH, PATCH], (15, 15, 15), SPACING_MM, rng) for rng in rngs(4)]
    at_once = built._render(maps, plans, [PATCH, PATCH], SPACING_MM)
    for piece, view in zip(at_once, views(built, maps, rngs(4)), strict=True):
        torch.testing.assert_close(piece.image, view.image, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(piece.target, view.target, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_global_random_state_is_neither_read_nor_moved(
    name: str, generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    built = generator(name)
    maps = head(2, built.source_vox(PATCH))
    torch.manual_seed(1)
    first = views(built, maps, rngs(2))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = views(built, maps, rngs(2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.image, b.image)
    other = views(built, maps, rngs(2, first=50))
    assert not torch.equal(first[0].image, other[0].image)


def test_mixed_precision_around_it_changes_nothing(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    built, maps = generator("seqinv"), head(2, 15)
    plain_views = views(built, maps, rngs(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = views(built, maps, rngs(2))
    for a, b in zip(plain_views, mixed, strict=True):
        assert torch.equal(a.image, b.image)


def families(built: Any, count: int, draws: int) -> list[list[str]]:
    return [
        [scan.sequence.family for scan in built.draw_acquisitions(count, torch.Generator().manual_seed(seed))]
        for seed in range(draws)
    ]


def test_seqinv_never_shows_one_family_twice(generator: Fixture) -> None:
    drawn = families(generator("seqinv"), 2, 500)
    assert all(len(set(pair)) == 2 for pair in drawn)
    assert len({tuple(pair) for pair in drawn}) == 20  # every ordered pair of five families
    counts = Counter(itertools.chain.from_iterable(drawn))
    assert min(counts.values()) > 150
    assert max(counts.values()) < 250


def test_gre_and_spgr_count_as_one(generator: Fixture) -> None:
    built = generator("seqinv", sequences=["gre", "spgr", "fse"])
    for seed in range(50):
        names = [
            scan.sequence.name for scan in built.draw_acquisitions(2, torch.Generator().manual_seed(seed))
        ]
        assert "fse" in names
    with pytest.raises(ConfigError, match="at least two families, and got only gre, spgr"):
        generator("seqinv", sequences=["gre", "spgr"])


def test_more_views_than_families_use_all_before_one_comes_again(generator: Fixture) -> None:
    for drawn in families(generator("seqinv"), 8, 50):
        assert len(drawn) == 8
        assert len(set(drawn[:5])) == 5
        assert len(set(drawn[5:])) == 3


def test_as_released_seqinv_draws_the_same_sequence_one_time_in_six(generator: Fixture) -> None:
    built = generator("seqinv", "as-released")
    same = 0
    for seed in range(600):
        a, b = built.draw_acquisitions(2, torch.Generator().manual_seed(seed))
        same += a.sequence.name == b.sequence.name
    assert same / 600 == pytest.approx(1 / 6, abs=0.06)


def test_seqaug_shows_one_draw_in_all_views(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    built = generator("seqaug")
    first, second = views(built, head(8, built.source_vox(PATCH)), rngs(8))
    assert first.sequences == second.sequences
    assert len(set(first.sequences)) > 1
    for a, b in zip(first.parameters, second.parameters, strict=True):
        assert {k: v for k, v in a.items() if is_acquisition(k)} == {
            k: v for k, v in b.items() if is_acquisition(k)
        }
        assert a["rotation_deg"] != b["rotation_deg"]


def is_acquisition(name: str) -> bool:
    return name.endswith("_s") or name in ("sequence", "flip_angle_deg", "n_excitations")


def test_mprage_draws_anew_for_each_view_and_is_fixed_as_released(
    generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    for profile, distinct in (("corrected", 8), ("paper", 8), ("as-released", 1)):
        built = generator("mprage", profile)
        made = views(built, head(4, built.source_vox(PATCH)), rngs(4))
        assert {name for view in made for name in view.sequences} == {"mprage"}
        assert len({one["tr_s"] for view in made for one in view.parameters}) == distinct


def test_default_sequences_and_windows_follow_the_profile(generator: Fixture) -> None:
    def names(profile: str) -> list[str]:
        return [sequence.name for sequence in generator("seqaug", profile).sequences]

    assert names("corrected") == ["fse", "gre", "flair", "mprage", "mp2rage"]
    assert names("paper") == ["fse", "gre", "flair", "mprage"]
    assert names("as-released") == ["fse", "gre", "spgr", "flair", "mprage", "mp2rage"]
    for profile in ("corrected", "paper"):
        assert len({generator(name, profile).window_percentiles for name in NAMES}) == 1
    assert generator("mprage", "as-released").window_percentiles == (0.5, 99.5)
    assert generator("seqinv", "as-released").window_percentiles == (0.5, 95.0)


def test_a_profile_of_its_own_takes_its_sequences_along(registry: Any) -> None:
    for name in NAMES:
        reference = ViewsRef.model_validate({"name": name, "profile": "paper"})
        built = registry.resolve(reference, "test", "corrected").make()
        assert {sequence.profile for sequence in built.sequences} == {"paper"}


def test_methods_share_augmentation_given_the_same_generators(
    generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    made = [views(generator(name), head(3, 15), rngs(3)) for name in NAMES]
    for index in range(2):
        kept = [
            [{k: v for k, v in one.items() if k in ("rotation_deg", "noise_sigma", "offset_vox", "flip")}
             for one in pair[index].parameters]
            for pair in made
        ]  # fmt: skip
        assert kept[0] == kept[1] == kept[2]


def test_target_has_the_view_without_artefacts(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    """Artefacts change the image; the target stays the clean view up to the image's scale."""
    space = {"rotation_deg": 15.0, "flip_probability": 0.5, "elastic_probability": 1.0}
    artefacts = {
        "bias_probability": 1.0, "bias_sd": (0.3, 0.3), "gibbs_probability": 1.0, "noise_probability": 1.0,
        "noise_sigma": (0.1, 0.1), "dropout_probability": 1.0,
    }  # fmt: skip
    clean = generator("seqinv", augment=plain(**space))
    dirty = generator("seqinv", augment=plain(**space, **artefacts))
    maps = head(3, clean.source_vox(PATCH))
    for bare, full in zip(views(clean, maps, rngs(3)), views(dirty, maps, rngs(3)), strict=True):
        assert torch.equal(bare.image, bare.target)
        for index in range(3):
            pair = torch.stack([bare.target[index].flatten(), full.target[index].flatten()])
            assert torch.corrcoef(pair)[0, 1] > 1 - 1e-5
            image, target = full.image[index].flatten(), full.target[index].flatten()
            assert torch.corrcoef(torch.stack([image, target]))[0, 1] < 0.99
            assert (image == 0).sum() > 0
            kept = image != 0
            slope = (image[kept] * target[kept]).sum() / (target[kept] ** 2).sum()
            assert 0.5 < slope < 1.6  # one scale


def test_dropped_voxels_are_those_of_the_record(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    built = generator("mprage", augment=plain(dropout_probability=1.0, noise_probability=1.0))
    (view,) = views(built, head(4, 15), rngs(4), [ViewRequest()])
    for image, record in zip(view.image, view.parameters, strict=True):
        dropped = torch.zeros(PATCH, PATCH, PATCH, dtype=torch.bool)
        for box in record["dropout_cuboids_vox"]:
            dropped[tuple(slice(*edge) for edge in box)] = True
        assert torch.equal(image[0] == 0, dropped)
        assert 0 < dropped.float().mean() < 0.5


def test_views_of_a_sample_differ_in_crop_and_pose(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    first, second = views(generator("seqaug"), head(3, 15), rngs(3))
    for a, b in zip(first.target, second.target, strict=True):
        assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] < 0.999


def test_local_views_are_smaller_and_carry_their_role(
    generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    requests = [*PAIR, ViewRequest("local", 0.5), ViewRequest("local", 0.4)]
    made = views(generator("seqinv"), head(2, 15), rngs(2), requests)
    assert [view.image.shape[-1] for view in made] == [12, 12, 6, 5]
    assert [view.role for view in made] == ["global", "global", "local", "local"]
    offsets = [abs(o) for view in made[2:] for one in view.parameters for o in one["offset_vox"]]
    assert max(offsets) > 2  # anywhere in the source, not its middle


def test_air_alone_gives_finite_views(generator: Fixture, rngs: Fixture) -> None:
    for name, profile in itertools.product(NAMES, PROFILES):
        air = {key: torch.zeros(2, 15, 15, 15) for key in ("PD", "R1", "R2s", "MTsat")}
        for view in views(generator(name, profile), air, rngs(2)):
            assert torch.isfinite(view.image).all()
            assert torch.isfinite(view.target).all()


def test_redraws_are_counted_once(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    maps = head(16, 15)
    paper = views(generator("seqaug", "paper"), maps, rngs(16))
    assert paper[0].redraws > 0
    assert paper[1].redraws == 0  # the same acquisition, counted with the first view
    assert all(view.redraws > 0 for view in views(generator("seqinv", "paper"), maps, rngs(16)))
    assert all(view.redraws == 0 for view in views(generator("seqinv", "as-released"), maps, rngs(16)))


def test_records_are_plain_data_with_units(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    for view in views(generator("seqinv"), head(4, 15), rngs(4)):
        for name, record in zip(view.sequences, view.parameters, strict=True):
            assert record["sequence"] == name
            assert json.loads(json.dumps(record))["sequence"] == name
            assert {"rotation_deg", "elastic_sd_mm", "noise_sigma", "dropout_cuboids_vox"} <= set(record)
            assert any(key in record for key in ("te_s", "ti1_s"))


def test_a_measured_r2_map_is_used(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    built = generator("seqaug", sequences=["fse"])
    maps = head(1, 15)
    without = views(built, maps, rngs(1))[0]
    same = views(built, {**maps, "R2": 0.75 * maps["R2s"]}, rngs(1))[0]
    torch.testing.assert_close(same.target, without.target)
    other = views(built, {**maps, "R2": 5 + 0 * maps["R2s"]}, rngs(1))[0]
    assert not torch.allclose(other.target, without.target, atol=0.05)


def test_half_precision_maps_are_computed_in_float32(
    generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    half = {name: values.half() for name, values in head(2, 15).items()}
    rounded = {name: values.float() for name, values in half.items()}
    built = generator("mprage")
    assert torch.equal(views(built, half, rngs(2))[0].image, views(built, rounded, rngs(2))[0].image)


def test_missing_or_misshapen_maps_are_named(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    built, maps = generator("seqinv"), head(2, 15)
    with pytest.raises(DataError, match="map MTsat is missing") as caught:
        views(built, {name: values for name, values in maps.items() if name != "MTsat"}, rngs(2))
    assert "R2s, MTsat" in caught.value.hint
    with pytest.raises(DataError, match=r"expected R1 as .* got \(2, 15, 15, 14\)"):
        views(built, {**maps, "R1": maps["R1"][..., :14]}, rngs(2))
    with pytest.raises(DataError, match=r"= \(3, 15, 15, 15\), got \(2, 15, 15, 15\)"):
        views(built, maps, rngs(3))


def test_wrong_options_are_one_sentence(generator: Fixture) -> None:
    with pytest.raises(ConfigError, match=r"test\.augment\.rotate_range: unknown key"):
        generator("seqinv", augment={"rotate_range": 15})
    with pytest.raises(ConfigError, match=r"test\.profile: .*corrected"):
        generator("seqinv", "fixed")
    with pytest.raises(ConfigError, match="unknown sequence 'flar'") as caught:
        generator("seqinv", sequences=["fse", "flar"])
    assert "flair" in caught.value.hint


def test_transmit_field_changes_the_image_and_can_be_switched_off(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture
) -> None:
    def first(transmit_sd: float | None, profile: str = "corrected") -> torch.Tensor:
        built = generator("mprage", profile, augment=plain(), transmit_sd=transmit_sd)
        return views(built, head(2, 15), rngs(2))[0].target

    assert not torch.allclose(first(0.1), first(0.0), atol=0.02)
    assert torch.equal(first(None), first(0.1))
    assert torch.equal(first(None, "paper"), first(0.0, "paper"))


def test_large_patches_are_computed_in_slabs_without_a_seam(
    generator: Fixture, head: Fixture, rngs: Fixture, plain: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = generator("mprage", augment=plain())
    maps = head(1, 15)
    whole = views(built, maps, rngs(1))[0].target
    monkeypatch.setattr("mribench_views.acquisition._CACHE_VOXELS", 500)
    torch.testing.assert_close(views(built, maps, rngs(1))[0].target, whole, rtol=1e-5, atol=1e-5)


def test_views_of_real_scans_are_augmented_as_those_of_simulated_ones(
    generator: Fixture, head: Fixture, rngs: Fixture
) -> None:
    """The same crops, rotations and noise: what differs between methods is what is shown."""
    simulated, real = generator("mprage"), generator("augment")
    maps = head(4, real.source_vox(PATCH))
    image = maps["PD"]
    shown = views(real, {"image": image}, rngs(4))
    for one, other in zip(shown, views(simulated, maps, rngs(4)), strict=True):
        for mine, theirs in zip(one.parameters, other.parameters, strict=True):
            assert mine == {name: theirs[name] for name in mine}
        assert one.sequences == []
        assert one.redraws == 0
    first, second = shown
    assert not torch.equal(first.image, second.image)
    torch.testing.assert_close(
        image, head(4, real.source_vox(PATCH))["PD"], msg="the scan is changed in place"
    )


def test_a_real_scan_without_augmentation_is_its_window(generator: Fixture, rngs: Fixture) -> None:
    off = {
        "rotation_deg": 0, "shear": 0, "flip_probability": 0, "elastic_probability": 0, "bias_probability": 0,
        "gibbs_probability": 0, "noise_probability": 0, "dropout_probability": 0,
    }  # fmt: skip
    built = generator("augment", augment=off)
    image = torch.rand(2, 12, 12, 12, generator=torch.Generator().manual_seed(0))
    (view,) = built.views({"image": image}, [ViewRequest()], 12, SPACING_MM, rngs(2))
    torch.testing.assert_close(view.image, view.target)
    for shown, scan in zip(view.image[:, 0], image, strict=True):
        order = torch.corrcoef(torch.stack([shown.flatten(), scan.flatten()]))
        assert order[0, 1] > 0.99


def test_real_views_need_an_image(generator: Fixture, head: Fixture, rngs: Fixture) -> None:
    with pytest.raises(DataError, match="the map image is missing; there are only"):
        views(generator("augment"), head(2, 15), rngs(2))
