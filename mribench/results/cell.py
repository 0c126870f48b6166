"""What the rows of a job are about: which method and data, trained and tested how."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EmbedCell(BaseModel):
    """What an embed job is about: an encoder on the test subjects of a cohort.

    Attributes:
        benchmark: its name.
        profile: with the defects that are switched on by name.
        method: name of the method, or of the reference arm.
        views: name of the view generator; None where nothing was pretrained, as for the next two.
        objective: name of the objective.
        encoder: name of the encoder; None where there is none.
        arm: what is done with the encoder.
        dataset: name of the cohort.
        seed: of the trainings; None where nothing is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    profile: str
    method: str
    views: str | None
    objective: str | None
    encoder: str | None
    arm: str
    dataset: str
    seed: int | None


class EvaluateCell(EmbedCell):
    """What an evaluate job is about. What is not trained has no training: those fields are None.

    Attributes:
        task: its name.
        train_site: site of the training subjects.
        test_site: site of the test subjects.
        train_sequence: sequence of the training scans.
        test_sequence: sequence of the test scans.
        fraction: of the training subjects that are labelled.
        n_train_subjects: how many those are; None while the data are missing.
        subset_seed: that drew them; None where the train seed did, or where all are labelled.
    """

    task: str
    train_site: str | None
    test_site: str
    train_sequence: str | None
    test_sequence: str
    fraction: float | None
    n_train_subjects: int | None
    subset_seed: int | None
