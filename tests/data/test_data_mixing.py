"""Who is in a batch of several cohorts, which scans are shown together, and where crops are cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_data_prepare import IDENTITY, Cohort, cohort

from mribench.data.maps import MOST_DRAWS, MapSource
from mribench.data.mixing import BatchDraws, CohortMix, _find_uncommon, draw_batch_indices
from mribench.data.prepare import find_foreground
from mribench.data.showing import Showing
from mribench.errors import DataError, JobError
from mribench.interfaces import Scan, Subject
from mribench.seeding import torch_generator
from mribench.volumes import read_volume, resample_to

CPU = torch.device("cpu")
SIZES, SHARES, BATCH = (11, 7, 30), (0.45, 0.2, 0.35), 6


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "own-cache"))


@pytest.fixture
def data(tmp_path: Path) -> Cohort:
    return cohort(tmp_path / "data")


def test_one_cohort_is_drawn_as_ever() -> None:
    draws = BatchDraws([11], [1.0], 3, ("pretrain", 4))
    for batch in range(9):
        expected = draw_batch_indices(11, 3, batch, ("pretrain", 4), repeat=False)
        assert draws.draw(batch) == [(0, index) for index in expected]


def test_a_batch_has_its_share_of_each_cohort_and_nobody_twice() -> None:
    draws = BatchDraws(SIZES, SHARES, BATCH, ("pretrain", 0))
    seen: Counter[int] = Counter()
    for batch in range(1000):
        places = draws.draw(batch)
        assert len(set(places)) == len(places) == BATCH
        counts = Counter(number for number, _ in places)
        seen.update(counts)
        for number, share in enumerate(SHARES):
            assert counts[number] in (int(share * BATCH), int(share * BATCH) + 1)
    for number, share in enumerate(SHARES):
        assert seen[number] / (1000 * BATCH) == pytest.approx(share, abs=0.01)


def test_everybody_of_a_cohort_comes_once_in_an_epoch() -> None:
    """With two of 30 in each batch an epoch is 15 batches, whatever the other cohort does."""
    draws = BatchDraws([30, 9], [0.5, 0.5], 4, ("pretrain", 0))
    batches = [draws.draw(batch) for batch in range(30)]
    epochs = [
        [index for places in part for number, index in places if number == 0]
        for part in (batches[:15], batches[15:])
    ]
    assert [sorted(epoch) for epoch in epochs] == [list(range(30))] * 2
    assert epochs[0] != epochs[1], "shuffled anew"


def test_a_batch_does_not_depend_on_those_that_were_drawn_before() -> None:
    whole = BatchDraws(SIZES, SHARES, BATCH, ("pretrain", 0))
    expected = [whole.draw(batch) for batch in range(50)]
    assert BatchDraws(SIZES, SHARES, BATCH, ("pretrain", 0)).draw(49) == expected[49]
    assert BatchDraws(SIZES, SHARES, BATCH, ("pretrain", 1)).draw(49) != expected[49]


def test_a_cohort_that_is_too_small_for_its_share() -> None:
    small = BatchDraws([2, 30], [0.5, 0.5], 8, ("pretrain", 0))
    with pytest.raises(JobError, match="a batch of 4 needs as many pretraining subjects, and there are 2"):
        small.draw(0)
    repeated = BatchDraws([2, 30], [0.5, 0.5], 8, ("pretrain", 0), repeat=True).draw(0)
    assert Counter(number for number, _ in repeated) == {0: 4, 1: 4}
    assert {index for number, index in repeated if number == 0} <= {0, 1}


def test_crops_of_a_mix_are_those_of_its_cohorts(data: Cohort) -> None:
    first, second = (MapSource(data, data.subjects()[place:], None, ["PD"], IDENTITY) for place in (0, 1))
    mix = CohortMix([first, second])
    assert mix.places() == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    cut = mix.crops([(1, 0), (0, 2)], 8, [torch_generator("x", i) for i in range(2)], CPU)
    assert [origin.subject for origin in cut.origins] == ["here:1", "here:2"]
    alone = second.crops([0], 8, [torch_generator("x", 0)], CPU)
    assert torch.equal(cut.maps["PD"][0], alone.maps["PD"][0])
    again = CohortMix([MapSource(data, data.subjects(), None, ["PD"], IDENTITY) for _ in range(2)])
    again.restore(mix.counts())
    assert again.counts() == mix.counts()
    assert set(mix.counts()) == {(1, "here:1", 2), (0, "here:2", 2)}


def test_only_scans_of_the_sequences_that_are_asked_for(data: Cohort) -> None:
    source = MapSource(data, data.subjects(), None, ["image"], IDENTITY, sequences=["T2w"])
    seeds = [torch_generator("x", i) for i in range(12)]
    cut = source.crops([i % 3 for i in range(12)], 8, seeds, CPU)
    assert {origin.sequence for origin in cut.origins} == {"T2w"}


def test_scans_are_shown_together_by_session() -> None:
    def scan(sequence: str, session: str) -> Scan:
        return Scan(sequence, {"image": Path(f"{session}-{sequence}")}, session)

    scans = (scan("T1w", "1"), scan("T1w", "2"), scan("T2w", "1"), scan("FLAIR", "1"), scan("T1w", "3"))
    subject = Subject("here", "a", "S", (*scans, scan("T2w", "3")))
    pairs = Showing(("image",), None, 2).groups(subject)
    assert [[one.session + one.sequence for one in group] for group in pairs] == [
        ["1T1w", "1T2w", "1FLAIR"], ["3T1w", "3T2w"],
    ]  # fmt: skip
    assert Showing(("image",), ("T1w", "FLAIR"), 2).groups(subject) == [(scans[0], scans[3])]
    drawn = {
        tuple(one.sequence for one in Showing(("image",), None, 2).draw(pairs[0], torch_generator("d", seed)))
        for seed in range(60)
    }
    assert len(drawn) == 6, "every ordered pair of three sequences"
    with pytest.raises(DataError, match="has no session with scans of 4 sequences with the maps image"):
        Showing(("image",), None, 4).require_groups(subject)


@pytest.mark.parametrize("spacing_mm", [None, 2.0])
def test_a_pair_lies_on_the_grid_of_the_first_scan(data: Cohort, spacing_mm: float | None) -> None:
    """The T2w image has slices of 2 mm: it is moved once, to the voxels of the T1w image."""
    subject = data.subjects()[0]
    source = MapSource(data, [subject], spacing_mm, ["image"], IDENTITY, images=2)
    orders = set()
    for seed in range(8):
        cut = source.crops([0], 9, [torch_generator("x", seed)], CPU)
        (origin,) = cut.origins
        order = (origin.sequence, *origin.paired)
        orders.add(order)
        named = dict(zip(order, ("image", "image_2"), strict=True))
        first = MapSource(data, [subject], spacing_mm, ["image"], IDENTITY, sequences=["T1w"])
        whole = first._load(subject, subject.scans[0], subject.scans[0])["image"]
        window = tuple(slice(c, c + 9) for c in origin.corner_vox)
        assert origin.shape_vox == tuple(whole.shape)
        assert torch.equal(cut.maps[named["T1w"]][0], whole[window])
        if spacing_mm is None:
            fixed = read_volume(subject.scans[0].images["image"])
            moving = data.read_images(subject.scans[1])["image"]
            moved = resample_to(moving, fixed.affine, fixed.shape_vox, order=1).data[window]
            np.testing.assert_array_equal(cut.maps[named["T2w"]][0].numpy(), moved)
    assert orders == {("T1w", "T2w"), ("T2w", "T1w")}


def test_crops_have_their_share_of_head_or_are_the_fullest(data: Cohort) -> None:
    subject = data.subjects()[0]
    head = find_foreground(data.read_images(subject.scans[0])["image"].data)
    edge, share = 8, 0.6

    def crop_shares(least: float | None) -> list[float]:
        source = MapSource(
            data, [subject], None, ["image"], IDENTITY, sequences=["T1w"], min_foreground=least
        )
        shares = []
        for seed in range(30):
            (origin,) = source.crops([0], edge, [torch_generator("c", seed)], CPU).origins
            shares.append(float(head[tuple(slice(c, c + edge) for c in origin.corner_vox)].mean()))
        return shares

    free, asked, impossible = crop_shares(None), crop_shares(share), crop_shares(1.0)
    assert min(free) < share <= min(asked)
    kept = [before for before in free if before >= share]
    assert kept == [after for before, after in zip(free, asked, strict=True) if before >= share], "no redraw"
    by_hand = []
    for seed in range(30):
        generator = torch_generator("c", seed)
        torch.randint(1, (), generator=generator)
        places = []
        for _ in range(MOST_DRAWS):
            corner = [int(torch.randint(n - edge + 1, (), generator=generator)) for n in head.shape]
            places.append(float(head[tuple(slice(c, c + edge) for c in corner)].mean()))
        full = next((place for place in places if place == 1.0), max(places))
        by_hand.append(full)
    assert impossible == by_hand


def test_what_only_some_cohorts_have_is_never_shown() -> None:
    """A map that one cohort has would be there in batches of that cohort alone, and change the physics."""
    assert _find_uncommon([{"PD", "R1", "R2"}, {"PD", "R1"}, set()]) == {"R2"}
    assert _find_uncommon([{"PD", "R2"}]) == set()
    assert _find_uncommon([]) == set()
