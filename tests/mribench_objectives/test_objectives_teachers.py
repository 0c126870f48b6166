"""BYOL, MoCo v2, DINO and SimCLR of several views, against closed forms and what they are made of."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_objectives.byol import Byol, ByolOptions
from mribench_objectives.dino import Dino, DinoOptions
from mribench_objectives.moco import Moco, MocoOptions, _number
from mribench_objectives.nt_xent import nt_xent
from mribench_objectives.simclr import Simclr, SimclrOptions, contrast
from mribench_objectives.teachers import follow, make_teacher, rise_along_cosine
from torch import nn

from mribench.interfaces import Objective, View
from mribench.testing.samples import draw_views


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def encoder() -> CnnEncoder:
    return CnnEncoder(CnnOptions(features=(4, 8), dropout=0))


def views(objective: Objective, batch: int = 4) -> list[View]:
    return draw_views(objective.view_requests, 16, batch)


def learn(objective: Objective, steps: int = 30) -> list[float]:
    """Train on one batch, and return the losses."""
    optimiser = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=3e-3)
    given, losses = views(objective), []
    for step in range(steps):
        loss = torch.stack(list(objective.loss(given, step, steps).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step(step, steps)
        losses.append(loss.item())
    return losses


# Teachers


def test_a_teacher_is_a_moving_average() -> None:
    student = nn.Linear(2, 2)
    teacher = make_teacher(student)
    before = teacher.weight.clone()
    with torch.no_grad():
        student.weight.add_(1.0)
    follow(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight, before + 0.1)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_buffers_are_taken_over() -> None:
    student = nn.BatchNorm1d(3)
    teacher = make_teacher(student)
    student(torch.randn(8, 3) + 5)
    follow(teacher, student, 0.99)
    torch.testing.assert_close(teacher.running_mean, student.running_mean)


def test_a_decay_rises_from_its_start_to_one() -> None:
    values = [rise_along_cosine(0.99, 1.0, step, 11) for step in range(11)]
    assert values[0] == pytest.approx(0.99)
    assert values[5] == pytest.approx(0.995)
    assert values[10] == pytest.approx(1.0)
    assert values == sorted(values)


# BYOL


def test_byol_is_zero_where_predictions_point_as_targets() -> None:
    objective = Byol(ByolOptions(hidden=16, out=8), encoder()).eval()
    given = views(objective)
    same = [given[0], given[0]]
    objective.predictor = nn.Identity()  # type: ignore[assignment]
    assert objective.loss(same, 0, 1)["prediction"].item() == pytest.approx(0, abs=1e-5)
    objective.target_projector = nn.Sequential(objective.target_projector, _Negative())  # type: ignore[assignment]
    assert objective.loss(same, 0, 1)["prediction"].item() == pytest.approx(8, abs=1e-4)


class _Negative(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return -values


def test_byol_moves_its_target_by_its_decay() -> None:
    objective = Byol(ByolOptions(hidden=16, out=8, decay=0.5), encoder())
    before = [p.clone() for p in objective.target_encoder.parameters()]
    with torch.no_grad():
        for parameter in objective.encoder.parameters():
            parameter.add_(1.0)
    objective.after_step(0, 10)
    for one, other in zip(before, objective.target_encoder.parameters(), strict=True):
        torch.testing.assert_close(other, one + 0.5)


# MoCo


def test_moco_looks_for_its_key_in_the_queue() -> None:
    objective = Moco(MocoOptions(queue=6, hidden=16, out=8), encoder()).eval()
    given = views(objective)
    with torch.no_grad():
        query = F.normalize(objective.projector(objective.encoder.embed(given[0].image)), dim=1)
        key = F.normalize(objective.key_projector(objective.key_encoder.embed(given[1].image)), dim=1)
        logits = torch.cat([(query * key).sum(1)[:, None], query @ objective.keys.T], 1) / 0.2
        expected = (logits.logsumexp(1) - logits[:, 0]).mean()
        torch.testing.assert_close(objective.loss(given, 0, 1)["contrastive"], expected)


def test_the_queue_is_a_ring_of_the_latest_keys() -> None:
    objective = Moco(MocoOptions(queue=6, hidden=16, out=8), encoder())
    first = objective.keys.clone()
    objective.loss(views(objective), 0, 3)
    torch.testing.assert_close(objective.keys, first)  # until the step is done
    objective.after_step(0, 3)
    assert not torch.equal(objective.keys[:4], first[:4])
    torch.testing.assert_close(objective.keys[4:], first[4:])
    second = objective.keys.clone()
    objective.loss(views(objective), 1, 3)
    objective.after_step(1, 3)
    assert objective.place.item() == 2
    torch.testing.assert_close(objective.keys[2:4], second[2:4])


def test_keys_of_a_subject_are_no_negatives_of_it() -> None:
    objective = Moco(MocoOptions(queue=4, hidden=16, out=8), encoder())
    given = views(objective)
    objective.loss(given, 0, 2)
    objective.after_step(0, 2)
    hidden = objective._find_no_negatives(_number(given[0].subjects))
    torch.testing.assert_close(hidden, torch.eye(4, dtype=torch.bool))
    objective.options = MocoOptions(queue=4, hidden=16, out=8, same_subject_negatives=True)
    assert not objective._find_no_negatives(_number(given[0].subjects)).any()


# DINO


def test_dino_asks_for_large_and_small_views() -> None:
    objective = Dino(DinoOptions(prototypes=16, hidden=8, bottleneck=4, local_views=3), encoder())
    assert [request.patch_scale for request in objective.view_requests] == [1, 1, 0.5, 0.5, 0.5]
    assert isinstance(objective.exported_encoder(), CnnEncoder)
    assert objective.exported_encoder() is not objective.encoder


def test_dino_is_the_cross_entropy_of_pairs() -> None:
    objective = Dino(DinoOptions(prototypes=16, hidden=8, bottleneck=4, local_views=1), encoder()).eval()
    given = views(objective)
    with torch.no_grad():
        raw = [objective.head(objective.encoder.embed(view.image)) for view in given]
        taught = [(values / 0.07).softmax(1) for values in raw[:2]]
        said = [(values / 0.1).log_softmax(1) for values in raw]
        pairs = [(0, 1), (0, 2), (1, 0), (1, 2)]
        expected = sum(-(taught[one] * said[other]).sum(1).mean() for one, other in pairs) / 4
        torch.testing.assert_close(objective.loss(given, 9, 10)["distillation"], expected)


def test_the_teachers_temperature_rises_and_its_centre_moves() -> None:
    objective = Dino(DinoOptions(prototypes=16, hidden=8, bottleneck=4, warmup_share=0.5), encoder())
    assert objective._find_teacher_temperature(0, 10) == pytest.approx(0.04)
    assert objective._find_teacher_temperature(5, 10) == pytest.approx(0.07)
    given = views(objective)
    with torch.no_grad():
        wide = torch.cat([view.image for view in given[:2]])
        raw = objective.teacher_head(objective.teacher_encoder.embed(wide))
    objective.loss(given, 0, 10)
    objective.after_step(0, 10)
    torch.testing.assert_close(objective.centre, 0.1 * raw.mean(0))


def test_prototypes_keep_unit_length() -> None:
    objective = Dino(DinoOptions(prototypes=16, hidden=8, bottleneck=4, local_views=1), encoder())
    learn(objective, 3)
    lengths = objective.head.last.weight.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(16))


# SimCLR of several views


def test_two_views_are_nt_xent() -> None:
    embeddings = torch.randn(10, 6)
    people = torch.arange(5).repeat(2)
    expected = nt_xent(embeddings[:5], embeddings[5:], 0.3)
    torch.testing.assert_close(contrast(embeddings, people, 0.3), expected)


def test_more_views_are_found_one_by_one() -> None:
    embeddings = F.normalize(torch.randn(6, 4), dim=1)
    people = torch.tensor([0, 1, 0, 1, 0, 1])
    similarity = embeddings @ embeddings.T / 0.5
    terms = []
    for row in range(6):
        others = [other for other in range(6) if other != row]
        rest = torch.logsumexp(similarity[row, others], 0)
        found = [rest - similarity[row, other] for other in others if people[other] == people[row]]
        terms.append(torch.stack(found).mean())
    torch.testing.assert_close(contrast(embeddings, people, 0.5), torch.stack(terms).mean())


def test_chance_is_what_equal_embeddings_score() -> None:
    objective = Simclr(SimclrOptions(views=4, hidden=8, out=4), encoder())
    equal = contrast(torch.ones(12, 4), torch.arange(3).repeat(4), 0.5).item()
    assert objective.chance_losses(3)["contrastive"] == pytest.approx(equal)
    assert equal == pytest.approx(math.log(11))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Byol(ByolOptions(hidden=16, out=8), encoder()),
        lambda: Simclr(SimclrOptions(views=4, hidden=16, out=8), encoder()),
    ],
    ids=["byol", "simclr"],
)
def test_a_batch_is_learnt(make) -> None:  # type: ignore[no-untyped-def]
    losses = learn(make())
    assert losses[-1] < 0.9 * losses[0]
