"""Whether the kernel killed a process for want of memory, by its own counts."""

from __future__ import annotations

from pathlib import Path

_WORD = "oom_kill"
_V2 = Path("/sys/fs/cgroup")
_V1 = _V2 / "memory"
_MACHINE = Path("/proc/vmstat")


def count_memory_kills() -> int:
    """Return how many processes the kernel has killed for want of memory, in our group where it counts those.

    A process that ends by SIGKILL while this number grows was one of them, as far as can be known. Where the
    kernel does not count (not on Linux, or long ago) it is always 0.
    """
    for path in (*_group_files(), _MACHINE):
        count = _read_count(path)
        if count is not None:
            return count
    return 0


def _group_files() -> list[Path]:
    """Return where the control group of this process counts: of the second version, else of the first."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # not on Linux
        return []
    files = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:
            files += _in(_V2, place, "memory.events")
        elif "memory" in controllers.split(","):
            files += _in(_V1, place, "memory.oom_control")
    return files


def _in(mount: Path, place: str, name: str) -> list[Path]:
    """Return a file of a group; in a container the group may be the root of what is mounted."""
    return [mount / place.lstrip("/") / name, mount / name]


def _read_count(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:  # no such group here
        return None
    counts = [line.split()[1] for line in lines if line.startswith(f"{_WORD} ")]
    return int(counts[0]) if counts else None
