"""The embed job: one encoder's embeddings of a cohort's test scans, and what they say of invariance."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mribench.data.maps import select_by_id
from mribench.data.prepare import COUNTS, Reader, load_image
from mribench.errors import DataError
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.encoder import Encoder
from mribench.jobs.context import Context, Outcome
from mribench.jobs.decoding import decode_sequence, decode_site
from mribench.jobs.embedding import embed_scan
from mribench.jobs.encoder_input import EncoderInput
from mribench.jobs.invariance import (
    Embedded,
    MeasuredInvariance,
    not_measurable,
    ordered,
    retrieval,
    similarity,
    spread,
)
from mribench.jobs.model import arm_encoder
from mribench.jobs.still import StillEncoder
from mribench.jobs.volumes import voxel_row
from mribench.results.measures import DECODE_SEQUENCE, DECODE_SITE, MEASURES
from mribench.results.records import EMBEDDING_SCHEMA, INVARIANCE_SCHEMA
from mribench.results.specification import EmbedSpec
from mribench.seeding import derive_seed
from mribench.training.weights import state_digest

logger = logging.getLogger(__name__)


def run_embed(spec: EmbedSpec, context: Context) -> Outcome:
    """Embed every scan of the subjects and sequences that are asked for, and measure how invariant that is.

    A scan that cannot be read is a failed row, not a lost job; its subject's measures count as failed.
    Nothing is random: the same encoder and files give the same rows, bit for bit on a CPU.
    """
    start = arm_encoder(spec, context)
    encoder = start.encoder
    encoder.requires_grad_(False).eval()
    encoder.to(context.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    edge_vox = EncoderInput(spec.input).whole_vox or spec.patch_vox
    still = StillEncoder(encoder, (edge_vox,) * 3, context.device)
    before = state_digest(encoder)
    reader = context.open_reader(spec.data, spec.profile)
    scans = _scans(select_by_id(reader.dataset, spec.subjects), spec.sequences)
    started = time.perf_counter()
    rows = []
    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    for done, (subject, scan) in enumerate(scans, start=1):
        rows.append(_row(encoder, reader, subject, scan, spec, context.device, counts))
        context.tick(done, len(scans))
    device_s = time.perf_counter() - started
    still.require_unchanged("while scans were embedded")
    common = {**dict(spec.cell), "job_key": context.directory.name}
    windows = sum(row["n_windows"] for row in rows)
    with threadpool_limits(limits=1, user_api="blas"):
        findings = _measured(rows)
    split = {"split_digest": spec.split_digest, "patch_vox": spec.patch_vox}
    return Outcome(
        job={
            "device_s": device_s,
            "views_seen": windows,
            "voxels_seen": windows * edge_vox**3,
            "parameters": sum(p.numel() for p in encoder.parameters()),
            "parameters_trained": 0,
            "encoder_digest_before": before,
            "encoder_digest_after": state_digest(encoder),
            "weights_account": start.account,
            **voxel_row(counts),
        },
        tables={
            "embeddings.parquet": ([{**common, **row} for row in rows], EMBEDDING_SCHEMA),
            "invariance.parquet": ([{**common, **split, **row} for row in findings], INVARIANCE_SCHEMA),
        },
    )


def _scans(subjects: Sequence[Subject], sequences: Sequence[str]) -> list[tuple[Subject, Scan]]:
    """Return the scans of the sequences, by subject, then sequence; say who lacks which."""
    absent: Counter[str] = Counter()
    wanted = []
    for subject in subjects:
        for sequence in sequences:
            scans = [scan for scan in subject.scans if scan.sequence == sequence]
            absent[sequence] += not scans
            wanted += [(subject, scan) for scan in scans]
    for sequence, count in absent.items():
        if count:
            logger.info("%d of %d subjects have no %s scan", count, len(subjects), sequence)
    return wanted


def _row(
    encoder: Encoder,
    reader: Reader,
    subject: Subject,
    scan: Scan,
    spec: EmbedSpec,
    device: torch.device,
    counts: Counter[str],
) -> dict[str, Any]:
    row = {
        "subject": subject.id,
        "session": scan.session,
        "site": subject.site,
        "sequence": scan.sequence,
        "status": "failed",
        "n_windows": 0,
        "embedding": None,
    }
    where = f"{subject.id} {scan.session} {scan.sequence}"
    try:
        loaded = load_image(reader, subject, scan, spec.spacing_mm)
    except DataError as error:
        logger.warning("%s is counted as failed: %s", where, error)
        return row
    counts.update(loaded.counts)
    embedded = embed_scan(encoder, EncoderInput(spec.input), loaded, spec.patch_vox, device)
    if not bool(embedded.values.isfinite().all()):
        logger.warning("%s is counted as failed: its embedding is not finite", where)
        return row
    values = embedded.values.tolist()
    return row | {"status": "ok", "n_windows": embedded.n_windows, "embedding": values}


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the invariance rows of embedding rows, without the columns that all share."""
    failed = Counter(str(row["subject"]) for row in rows if row["status"] != "ok")
    windows_of: Counter[str] = Counter()
    for row in rows:
        windows_of[str(row["subject"])] += row["n_windows"]
    embedded = [row for row in rows if row["status"] == "ok"]
    findings = [_or_failed(finding, failed) for finding in _findings(embedded)]
    known = {(finding.measure, finding.subject) for finding in findings}
    findings += [
        _or_failed(not_measurable(measure.id, "", subject), failed)
        for subject in failed
        for measure in MEASURES.values()
        if measure.per_subject and (measure.id, subject) not in known
    ]
    return [
        {
            **asdict(finding),
            "n_failed": failed[finding.subject] if finding.subject else failed.total(),
            "n_windows": windows_of[finding.subject] if finding.subject else windows_of.total(),
        }
        for finding in ordered(findings)
    ]


def _findings(rows: Sequence[Mapping[str, Any]]) -> list[MeasuredInvariance]:
    if not rows:
        sets = [measure.id for measure in MEASURES.values() if not measure.per_subject]
        return [not_measurable(name, "no scan could be embedded") for name in sets]
    subject, site, sequence, session = (
        _column(rows, name) for name in ("subject", "site", "sequence", "session")
    )
    values = np.array([row["embedding"] for row in rows], dtype=np.float64)
    scans = Embedded(values, subject=subject, site=site, sequence=sequence, session=session)
    # The folds depend on nothing but the subjects: every method and seed is asked about the same.
    fold_seed = derive_seed("invariance-folds") % 2**32
    return [
        *similarity(scans),
        *retrieval(scans),
        *decode_sequence(scans, fold_seed),
        *decode_site(scans, fold_seed),
        *spread(scans),
    ]


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def _or_failed(finding: MeasuredInvariance, failed: Mapping[str, int]) -> MeasuredInvariance:
    """A subject's value without one of its scans would be of something else: it counts as failed."""
    if not finding.subject or finding.subject not in failed:
        return finding
    if finding.measure in (DECODE_SEQUENCE, DECODE_SITE):
        return finding
    return MeasuredInvariance(
        finding.measure,
        finding.subject,
        math.nan,
        n_subjects=0,
        status="failed",
        reason=f"scans that could not be embedded: {failed[finding.subject]}",
    )
