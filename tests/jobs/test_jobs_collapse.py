"""The collapse check on embeddings whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mribench.jobs.collapse import check_collapse, effective_rank
from mribench.seeding import numpy_generator, torch_generator


def _random(*shape: int, name: str = "a") -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator("collapse-test", name))


def test_good_embeddings_pass() -> None:
    subjects = _random(1, 8, 32).expand(4, 8, 32)
    check = check_collapse(
        subjects + 0.1 * _random(4, 8, 32, name="b"), subjects + 0.1 * _random(4, 8, 32, name="c")
    )
    assert check.retrieval_hits == check.retrieval_queries == 32
    assert check.retrieval_chance == 1 / 8
    assert check.retrieval_p == pytest.approx((1 / 8) ** 32)
    assert abs(check.mean_cosine) < 0.2
    assert check.reason() == ""
    assert check.row()["collapsed"] is False


def test_one_point_is_collapsed_in_every_way() -> None:
    point = torch.ones(4, 8, 16)
    reason = check_collapse(point, point).reason()
    assert "mean cosine 1.000" in reason
    assert "effective rank 1.00" in reason
    assert "not above chance" in reason


def test_noise_around_one_direction_has_high_cosine() -> None:
    a = 100 + _random(2, 8, 16)
    b = 100 + _random(2, 8, 16, name="b")
    assert check_collapse(a, b).mean_cosine > 0.99
    assert check_collapse(a, b).row()["collapsed"] is True


def test_random_embeddings_are_not_retrieved() -> None:
    check = check_collapse(_random(8, 8, 64), _random(8, 8, 64, name="other"))
    assert check.retrieval_p > 0.01
    assert "not above chance" in check.reason()


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
