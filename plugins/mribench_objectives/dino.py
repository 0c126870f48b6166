"""Self-distillation with no labels (Caron et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mribench.interfaces import Encoder, Objective, Options, ParameterGroup, View, ViewRequest
from mribench_objectives.teachers import follow, make_teacher, rise_along_cosine

_GLOBAL_VIEWS = 2


class DinoOptions(Options):
    """Options of the objective ``dino``; the defaults are the paper's for ViT-S, but for the local views."""

    local_views: int = Field(4, ge=0, description="small crops besides the two global ones (8 in the paper)")
    local_scale: float = Field(
        0.5, gt=0, lt=1, description="edge of a local view, as a share of a global one's"
    )
    prototypes: int = Field(65536, gt=1, description="dimension of the output, over which a softmax is taken")
    hidden: int = Field(2048, gt=0, description="width of the head's two hidden layers")
    bottleneck: int = Field(256, gt=0, description="dimension of the unit vectors before the last layer")
    student_temperature: float = Field(0.1, ge=0.01, description="divides the student's outputs")
    teacher_temperature: tuple[float, float] = Field(
        (0.04, 0.07), description="divides the teacher's outputs, at first and after the warm-up"
    )
    warmup_share: float = Field(
        0.1, ge=0, le=1, description="share of the steps over which the teacher's temperature rises"
    )
    centre_momentum: float = Field(0.9, ge=0, lt=1, description="share of its own that the centre keeps")
    decay: float = Field(
        0.996, ge=0, lt=1, description="share of its own weights that the teacher keeps at first; rises to 1"
    )
    frozen_share: float = Field(
        0.01, ge=0, lt=1, description="share of the steps at the beginning in which the last layer waits"
    )


class DinoHead(nn.Module):
    """Three layers to a unit vector, and one of unit weight vectors to the prototypes."""

    def __init__(self, width: int, options: DinoOptions) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, options.bottleneck),
        )
        self.last = weight_norm(nn.Linear(options.bottleneck, options.prototypes, bias=False))
        lengths = self.last.parametrizations.weight.original0
        nn.init.ones_(lengths)
        lengths.requires_grad_(False)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map ``(B, D)`` to ``(B, prototypes)``."""
        return self.last(F.normalize(self.mlp(embedding), dim=1))


class Dino(Objective):
    """A student's output for every view is drawn to a teacher's for each other global view.

    Caron et al. 2021, doi:10.1109/ICCV48922.2021.00951, equations 1 to 4 with multi-crop: cross-entropies of
    softmaxes, the teacher's sharpened by a low temperature and centred by its moving mean. The teacher's
    weights are a moving average of the student's; downstream tasks get the teacher's encoder.
    """

    centre: Tensor

    def __init__(self, options: DinoOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options, self.encoder = options, encoder
        local = [ViewRequest("local", options.local_scale)] * options.local_views
        self.view_requests = (*[ViewRequest()] * _GLOBAL_VIEWS, *local)
        self.head = DinoHead(encoder.embedding_dim, options)
        self.teacher_encoder, self.teacher_head = make_teacher(encoder), make_teacher(self.head)
        self.parameter_groups = (ParameterGroup("head.last.", frozen_share=options.frozen_share),)
        self.register_buffer("centre", torch.zeros(options.prototypes))
        self._seen: list[Tensor] = []

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``distillation``, the mean cross-entropy of all pairs of a global and another view."""
        wide = torch.cat([view.image for view in views[:_GLOBAL_VIEWS]])
        with torch.no_grad():
            raw = self.teacher_head(self.teacher_encoder.embed(wide)).float()
            temperature = self._find_teacher_temperature(step, total_steps)
            taught = ((raw - self.centre) / temperature).softmax(1).chunk(_GLOBAL_VIEWS)
        if self.training:
            self._seen.append(raw.mean(0))
        outputs = self._pass_student(wide, views[_GLOBAL_VIEWS:])
        said = [(output.float() / self.options.student_temperature).log_softmax(1) for output in outputs]
        terms = [
            -(taught[one] * said[other]).sum(1).mean()
            for one in range(_GLOBAL_VIEWS)
            for other in range(len(said))
            if other != one
        ]
        return {"distillation": torch.stack(terms).mean()}

    def _pass_student(self, wide: Tensor, local: list[View]) -> list[Tensor]:
        """Return the student's outputs of all views, the global ones first."""
        outputs = list(self.head(self.encoder.embed(wide)).chunk(_GLOBAL_VIEWS))
        if local:
            small = torch.cat([view.image for view in local])
            outputs += self.head(self.encoder.embed(small)).chunk(len(local))
        return outputs

    def _find_teacher_temperature(self, step: int, total_steps: int) -> float:
        low, high = self.options.teacher_temperature
        warmup = self.options.warmup_share * total_steps
        return high if step >= warmup else low + (high - low) * step / warmup

    def after_step(self, step: int, total_steps: int) -> None:
        """Let the teacher follow, and the centre its outputs."""
        decay = rise_along_cosine(self.options.decay, 1.0, step, total_steps)
        follow(self.teacher_encoder, self.encoder, decay)
        follow(self.teacher_head, self.head, decay)
        if self._seen:
            self.centre.lerp_(torch.stack(self._seen).mean(0), 1 - self.options.centre_momentum)
            self._seen.clear()

    def exported_encoder(self) -> Encoder:
        """Return the teacher's encoder."""
        return self.teacher_encoder
