"""The kinds of entry. Apart, because the command line's help needs nothing else."""

KINDS = (
    "dataset",
    "split",
    "sequence",
    "views",
    "objective",
    "encoder",
    "decoder",
    "probe",
    "task",
    "metric",
    "executor",
    "tracker",
    "table",
)
"""The kinds of entry that a plugin can register."""

DEFECTS = "defects"
"""What ``mribench list`` can list that is no kind of entry."""
