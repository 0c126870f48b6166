"""The collapse check on embeddings whose answer is known."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mribench.jobs.collapse import ALPHA, CollapseCheck, check_collapse
from mribench.jobs.invariance import effective_rank
from mribench.seeding import numpy_generator, torch_generator

DRAWS = 8
DIM = 96


def noise(*shape: int, name: str = "a") -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator("collapse-test", name))


def code(subjects: int, dim: int = DIM) -> torch.Tensor:
    """The same embedding of a subject in every draw, ``(DRAWS, subjects, dim)``."""
    return noise(1, subjects, dim, name="code").expand(DRAWS, subjects, dim)


def views(of: torch.Tensor, sd: float = 0.3) -> CollapseCheck:
    return check_collapse(of + sd * noise(*of.shape, name="first"), of + sd * noise(*of.shape, name="second"))


def row(check: CollapseCheck, *, trained: bool = True) -> dict[str, object]:
    return check.row(check, trained=trained)


# Healthy


@pytest.mark.parametrize("offset", [0, 5, 1000])
def test_a_code_of_subjects_is_healthy_wherever_its_mean_lies(offset: float) -> None:
    check = views(code(8) + offset)
    assert check.retrieval_hits == check.retrieval_queries == 64
    assert check.retrieval_chance == 1 / 8
    assert check.retrieval_p == pytest.approx(1 / math.factorial(8))
    assert check.collapsed() is False
    assert check.reason() == ""
    if not offset:
        assert abs(check.mean_cosine) < 0.2
        assert check.remarks() == []


def test_retrieval_at_three_of_four_with_a_high_cosine_is_anisotropic_and_not_collapsed() -> None:
    check = views(code(8) + 15, sd=2.2)
    assert 0.5 < check.retrieval_hits / check.retrieval_queries < 0.9
    assert check.collapsed() is False
    assert check.remarks() == [f"anisotropic: mean cosine {check.mean_cosine:.3f} between subjects"]


@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_one_direction_is_low_rank_and_not_collapsed_while_it_tells_subjects_apart(spread: float) -> None:
    line = torch.linspace(-1, 1, 8)[None, :, None] * noise(1, 1, DIM, name="direction")
    check = views(line.expand(DRAWS, 8, DIM), sd=spread)
    assert check.collapsed() is False
    (remark,) = check.remarks()
    assert remark.startswith("low rank: ")
    assert check.direction_share > 0.999


def test_three_directions_are_no_low_rank() -> None:
    check = views(code(8, 3) @ noise(3, DIM, name="basis"), sd=0.01)
    assert (check.collapsed(), check.remarks()) == (False, [])


# Collapsed


@pytest.mark.parametrize("subjects", [1, 2, 8])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("rounding", [0.0, 1e-6])
def test_one_point_is_collapsed_for_any_number_of_subjects(
    subjects: int, value: float, rounding: float
) -> None:
    check = views(torch.full((DRAWS, subjects, 16), value), sd=rounding * value)
    assert check.collapsed() is True
    assert check.reason() == "all embeddings are one point"
    assert check.remarks() == []
    assert row(check)["collapse_reason"] == check.reason()


def test_noise_is_collapsed_and_the_untrained_encoder_stands_beside_it() -> None:
    check = check_collapse(noise(8, 8, 64), noise(8, 8, 64, name="other"))
    found = check.row(views(code(8)), trained=True)
    assert found["collapsed"] is True
    assert found["untrained_retrieval_hits"] == 64
    assert str(found["collapse_reason"]).startswith(
        f"retrieval {check.retrieval_hits}/64 not above chance 8, p = "
    )
    assert str(found["collapse_reason"]).endswith("over 8 subjects (untrained 64/64)")


def test_a_code_of_the_view_alone_is_collapsed() -> None:
    first, second = (noise(1, 1, DIM, name=name).expand(DRAWS, 8, DIM) for name in ("T1w", "T2w"))
    check = check_collapse(first + 0.1 * noise(DRAWS, 8, DIM), second + 0.1 * noise(DRAWS, 8, DIM, name="b"))
    assert check.collapsed() is True


# Neither


def test_embeddings_that_are_not_finite_are_counted() -> None:
    first = code(8).clone()
    first[0, 0, 0], first[3, 2, 5] = math.nan, math.inf
    check = check_collapse(first, code(8))
    assert check.collapsed() is None
    found = row(check)
    assert found["encoder_remarks"] == "not finite: 2 of 128 embeddings"
    assert found["collapsed"] is None
    assert found["retrieval_hits"] is None
    assert math.isnan(check.effective_rank)
    assert math.isnan(check.retrieval())


@pytest.mark.parametrize("subjects", [1, 2, 4])
def test_too_few_subjects_are_not_checked(subjects: int) -> None:
    for check in (views(code(subjects)), views(torch.zeros(DRAWS, subjects, DIM))):
        assert check.collapsed() is None
        assert check.remarks() == []
        assert (row(check)["collapsed"], row(check)["subjects_checked"]) == (None, subjects)


def test_five_subjects_are_enough() -> None:
    assert views(code(5)).collapsed() is False
    assert views(torch.zeros(DRAWS, 5, DIM)).collapsed() is True


def test_an_encoder_that_training_left_alone_is_called_not_trained() -> None:
    found = row(views(code(8)), trained=False)
    assert found["collapsed"] is False
    assert found["encoder_remarks"] == "not trained: no parameter has changed"


def test_more_subjects_than_can_be_ordered_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 8 subjects can be checked, got 9"):
        views(code(9))


# The test of retrieval


def test_p_is_the_share_of_orders_of_the_subjects_that_lie_as_near() -> None:
    a, b = code(5, 3) + 2 * noise(4, 5, 3)[:1].expand(8, 5, 3), code(5, 3) + noise(8, 5, 3, name="b")
    check = check_collapse(a, b)

    def nearer(order: tuple[int, ...]) -> torch.Tensor:
        """How many other views lie nearer than the own one, for every view."""
        distances = torch.cdist(a.double(), b[:, list(order)].double())
        own = distances.diagonal(dim1=1, dim2=2)[..., None]
        return (distances < own).sum(dim=2)

    found = [nearer(order) for order in itertools.permutations(range(5))]
    assert int((found[0] == 0).sum()) == check.retrieval_hits
    counts = [int(ranks.sum()) for ranks in found]
    share = sum(count <= counts[0] for count in counts) / len(counts)
    assert check.retrieval_p == pytest.approx(share)
    assert 1 / 120 < share < 1, "an order that is neither the best nor the worst"


@pytest.mark.parametrize("draws", [8, 1], ids=["independent draws", "eight draws that are one"])
def test_embeddings_without_information_pass_as_rarely_as_the_level_says(draws: int) -> None:
    times, dim = 300, 16
    shape = (times, draws, 5, dim)
    first, second = noise(*shape, name="first"), noise(*shape, name="second")
    passed = sum(
        check_collapse(a.expand(8, 5, dim), b.expand(8, 5, dim)).retrieval_p < ALPHA
        for a, b in zip(first, second, strict=True)
    )
    assert passed <= 9, "at 1 % more than 9 of 300 have a probability of 0.1 %"


def test_weak_information_is_no_collapse() -> None:
    """A quarter of the views found, at an eighth by chance."""
    times, shape = 20, (8, 8, 32)
    codes = 0.4 * noise(times, 1, 8, 32)
    first, second = (codes + noise(times, *shape, name=name) for name in ("first", "second"))
    found = [check_collapse(a, b) for a, b in zip(first, second, strict=True)]
    assert 0.15 < sum(check.retrieval_hits for check in found) / (times * 64) < 0.3
    assert sum(check.collapsed() is False for check in found) >= 0.8 * times


def test_a_check_says_what_it_found_in_the_columns_of_the_row() -> None:
    check = views(code(8))
    found = row(replace(check, retrieval_hits=40))
    assert (found["retrieval_hits"], found["subjects_checked"]) == (40, 8)
    assert found["untrained_effective_rank"] == found["effective_rank"] == check.effective_rank


# Effective rank


def test_a_line_has_rank_one() -> None:
    line = np.outer(np.linspace(-1, 1, 30), np.arange(1, 5))
    assert effective_rank(line) == pytest.approx(1.0)


@pytest.mark.parametrize("rank", [2, 5, 10])
def test_effective_rank_of_equal_singular_values(rank: int) -> None:
    q, _ = np.linalg.qr(numpy_generator("rank", rank).standard_normal((40, rank)))
    centred, _ = np.linalg.qr(q - q.mean(0))
    assert effective_rank(centred) == pytest.approx(rank, rel=0.02)


def test_effective_rank_follows_its_definition() -> None:
    x = numpy_generator("definition").standard_normal((20, 6))
    s = np.linalg.svd(x - x.mean(0), compute_uv=False)
    p = s / s.sum()
    assert effective_rank(x) == pytest.approx(math.exp(-sum(v * math.log(v) for v in p)))
