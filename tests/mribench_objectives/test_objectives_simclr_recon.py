"""The objective ``simclr-recon``: its terms, its profiles, its heads."""

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import ContrastiveLoss
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_objectives.heads import projector, reconstructor
from mribench_objectives.simclr_recon import SimclrRecon, SimclrReconOptions

from mribench.errors import ConfigError
from mribench.interfaces import Encoder, ObjectiveRef, SampleOrigin, View
from mribench.plugins import load_registry
from mribench.testing import ClassTokenEncoder, PyramidEncoder


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def two_views(batch: int = 3, edge: int = 8, subjects: list[str] | None = None) -> list[View]:
    return [
        View(
            torch.randn(batch, 1, edge, edge, edge),
            torch.randn(batch, 1, edge, edge, edge),
            origins=[SampleOrigin(name) for name in subjects or []],
        )
        for _ in range(2)
    ]


def build(profile="corrected", encoder: Encoder | None = None, **options) -> SimclrRecon:
    return SimclrRecon(SimclrReconOptions(profile=profile, **options), encoder or PyramidEncoder())


@pytest.mark.parametrize("make", [PyramidEncoder, ClassTokenEncoder, lambda: PyramidEncoder((4, 6), (2, 6))])
def test_terms_are_scalars_and_gradients_reach_everything(make):
    objective = build(encoder=make())
    edge = 2 * objective.encoder.strides[-1]
    terms = objective.loss(two_views(edge=edge), 0, 10)
    assert set(terms) == {"contrastive", "reconstruction"}
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())
    sum(terms.values()).backward()
    for part in (objective.projector, objective.reconstructor):
        assert all(parameter.grad is not None for parameter in part.parameters())
    coarsest = [parameter.grad for parameter in list(objective.encoder.parameters())[-2:]]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in coarsest)


def test_terms_are_those_of_the_paper():
    """Second opinion: MONAI's contrastive loss and L1 written out, from two passes view by view."""
    objective = build("paper", temperature=0.3).eval()
    views = two_views()
    terms = objective.loss(views, 0, 10)
    projections = [objective.projector(objective.encoder.embed(view.image)) for view in views]
    assert terms["contrastive"].item() == pytest.approx(ContrastiveLoss(0.3)(*projections).item(), rel=1e-5)
    errors = [
        (objective.reconstructor(objective.encoder.feature_maps(view.image)[-1]) - view.target).abs().mean()
        for view in views
    ]
    assert terms["reconstruction"].item() == pytest.approx((errors[0] + errors[1]).item() / 2, rel=1e-5)


def test_as_released_sums_the_reconstruction_over_the_views():
    views = two_views()
    paper, released = build("paper").eval(), build("as-released").eval()
    released.load_state_dict(paper.state_dict())
    one, two = paper.loss(views, 0, 1), released.loss(views, 0, 1)
    assert two["reconstruction"].item() == pytest.approx(2 * one["reconstruction"].item())
    assert two["contrastive"].item() == one["contrastive"].item()


@pytest.mark.parametrize(
    ("profile", "normed"), [("corrected", True), ("paper", False), ("as-released", False)]
)
def test_projector_norm_follows_the_profile(profile, normed):
    assert any(isinstance(layer, torch.nn.BatchNorm1d) for layer in build(profile).projector) is normed
    assert any(
        isinstance(layer, torch.nn.BatchNorm1d) for layer in build(profile, projector_norm="batch").projector
    )
    assert not any(
        isinstance(layer, torch.nn.BatchNorm1d) for layer in build(profile, projector_norm="none").projector
    )


@pytest.mark.parametrize(
    ("profile", "option", "masked"),
    [("corrected", None, True), ("corrected", True, False), ("paper", None, False), ("paper", False, True)],
)
def test_crops_of_one_subject_are_negatives_only_where_the_protocol_says_so(profile, option, masked):
    objective = build(profile, same_subject_negatives=option, projector_norm="none").eval()
    views = two_views(batch=4)
    without = objective.loss(views, 0, 1)["contrastive"].item()
    for view in views:
        view.origins = [SampleOrigin(name) for name in "abac"]
    within = objective.loss(views, 0, 1)["contrastive"].item()
    assert (within < without) is masked
    if not masked:
        assert within == without


@pytest.mark.parametrize("batch", [2, 8])
def test_a_collapsed_encoder_scores_chance(batch):
    objective = build("paper").eval()
    with torch.no_grad():
        for parameter in objective.encoder.parameters():
            parameter.zero_()
    loss = objective.loss(two_views(batch), 0, 1)["contrastive"].item()
    assert loss == pytest.approx(objective.chance_losses(batch)["contrastive"], rel=1e-5)
    assert loss == pytest.approx(math.log(2 * batch - 1), rel=1e-5)


def test_papers_heads():
    encoder = CnnEncoder(CnnOptions(features=(1, 1, 1, 1, 768)))
    head = reconstructor(encoder)
    assert [layer.out_channels for layer in head] == [384, 192, 96, 48, 1]
    assert [layer.kernel_size for layer in head] == [(2, 2, 2)] * 4 + [(1, 1, 1)]
    mlp = SimclrRecon(SimclrReconOptions(profile="paper"), encoder).projector
    assert [tuple(layer.weight.shape) for layer in mlp if hasattr(layer, "weight")] == [
        (512, 768),
        (128, 512),
    ]


@pytest.mark.parametrize("stride", [1, 2, 6, 8, 16])
def test_reconstruction_has_the_size_of_the_image(stride):
    encoder = PyramidEncoder((4,), (stride,))
    image = torch.randn(1, 1, *(2 * stride,) * 3)
    assert reconstructor(encoder)(encoder(image)[-1]).shape == image.shape


@pytest.mark.parametrize("kind", [PyramidEncoder, ClassTokenEncoder])
def test_one_pass_of_both_views_through_the_encoder(kind):
    seen = []

    class Counting(kind):
        def feature_maps(self, image, mask=None):
            seen.append(len(image))
            return super().feature_maps(image, mask)

    build(encoder=Counting()).loss(two_views(batch=3), 0, 1)
    assert seen == [6]


def test_batch_norm_is_over_both_views_together():
    head = projector(4, 8, 2, "batch")
    assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    head(torch.randn(6, 4))
    assert head[1].num_batches_tracked == 1


def test_reconstruction_weight_is_declared():
    assert build(reconstruction_weight=0.25).weights == {"reconstruction": 0.25}


def test_a_misspelt_option_is_named():
    with pytest.raises(ConfigError, match="temprature") as caught:
        load_registry().resolve(
            ObjectiveRef.model_validate({"name": "simclr-recon", "temprature": 1}), "methods.a", "corrected"
        )
    assert "temperature" in caught.value.hint


@pytest.mark.slow
def test_training_brings_both_terms_down():
    encoder = CnnEncoder(CnnOptions(features=(4, 8, 16), dropout=0))
    objective = build(encoder=encoder)
    generator = torch.Generator().manual_seed(1)
    blobs = torch.nn.functional.interpolate(
        torch.randn(4, 1, 4, 4, 4, generator=generator), size=16, mode="trilinear"
    )
    optimiser = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    history = []
    for step in range(40):
        noisy = [blobs + 0.1 * torch.randn(blobs.shape, generator=generator) for _ in range(2)]
        terms = objective.loss([View(image, blobs) for image in noisy], step, 40)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        history.append({name: term.item() for name, term in terms.items()})
    assert history[-1]["contrastive"] < 0.8 * objective.chance_losses(4)["contrastive"]
    assert history[-1]["reconstruction"] < 0.9 * history[0]["reconstruction"]
