"""The store of prepared volumes: shared, checked, bounded, and never a reason to fail."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mribench.data import prepared, prepared_entry
from mribench.data.prepared import PreparedContent, Recipe, VolumeStore, get_volume_store
from mribench.errors import ConfigError, DataError

SHAPE = (8, 9, 10)


class Maker:
    """Counts how often it is asked."""

    def __init__(self, number: float, shape: tuple[int, ...] = SHAPE) -> None:
        self.number, self.shape, self.calls = number, shape, 0

    def __call__(self) -> PreparedContent:
        self.calls += 1
        values = np.arange(np.prod(self.shape), dtype=np.float32).reshape(self.shape) * self.number
        return PreparedContent(
            {"image": values, "head": values > 3}, {"made_vox": 7, "affine": [[0.1, 1 / 3]]}
        )


def recipe(number: float = 1, shape: tuple[int, ...] = SHAPE) -> Recipe:
    return Recipe({"number": number}, Maker(number, shape))


@pytest.fixture
def store(tmp_path) -> VolumeStore:
    return VolumeStore(tmp_path / "volumes", 10**9)


def again(store: VolumeStore) -> VolumeStore:
    """The same folder, as another process sees it."""
    return VolumeStore(store.folder, store.limit_bytes)


def same(content: PreparedContent, number: float = 1, shape: tuple[int, ...] = SHAPE) -> bool:
    expected = Maker(number, shape)()
    return (
        set(content.arrays) == set(expected.arrays)
        and all(np.array_equal(content.arrays[name], expected.arrays[name]) for name in expected.arrays)
        and all(content.arrays[name].dtype == expected.arrays[name].dtype for name in expected.arrays)
        and dict(content.facts) == dict(expected.facts)
    )


def visible(store: VolumeStore) -> list[str]:
    return sorted(path.name for path in store.folder.glob("??/*") if not path.name.startswith("."))


def hidden(store: VolumeStore) -> list[Path]:
    return list(store.folder.glob("??/.*"))


# Made once


def test_it_is_made_once_and_then_mapped(store):
    one = recipe()
    content, state = store.prepare(one)
    assert state == "built"
    assert same(content)
    assert all(isinstance(array, np.memmap) for array in content.arrays.values())
    other = recipe()
    content, state = again(store).prepare(other)
    assert state == "found"
    assert same(content)
    assert other.build.calls == 0
    assert one.build.calls == 1
    assert visible(store) == [one.key]
    assert hidden(store) == []


def test_the_place_is_the_key(store):
    one = recipe()
    store.read(one)
    assert re.fullmatch("[0-9a-f]{64}", one.key)
    folder = store.folder / one.key[:2] / one.key
    assert sorted(path.name for path in folder.iterdir()) == [
        "0-image.npy",
        "1-head.npy",
        "meta.json",
        "used",
    ]
    body = json.loads((folder / "meta.json").read_text())["body"]
    assert body["made_of"] == {"number": 1}
    assert body["arrays"]["image"]["shape"] == list(SHAPE)
    assert body["arrays"]["image"]["bytes"] == (folder / "0-image.npy").stat().st_size
    assert np.array_equal(np.load(folder / "0-image.npy"), Maker(1)().arrays["image"])


def test_the_key_is_of_the_content_and_the_version(monkeypatch):
    one = Recipe({"a": 1, "b": [1.5, "x"]}, Maker(1))
    assert one.key == Recipe({"b": [1.5, "x"], "a": 1}, Maker(2)).key
    assert one.key != Recipe({"a": 2, "b": [1.5, "x"]}, Maker(1)).key
    assert Recipe(None, Maker(1)).key == ""
    monkeypatch.setattr(prepared, "VERSION", prepared.VERSION + 1)
    assert one.key != Recipe({"a": 1, "b": [1.5, "x"]}, Maker(1)).key


def test_writing_into_a_mapped_array_changes_no_file(store):
    content = store.read(recipe())
    content.arrays["image"][:] = -1
    assert same(again(store).read(recipe()))


def test_names_of_arrays_that_are_no_file_names(store):
    awkward = {"../R1": np.zeros((2, 2, 2)), "a/b": np.ones((2, 2, 2)), "a_b": np.full((2, 2, 2), 2.0)}
    one = Recipe({"x": 1}, lambda: PreparedContent(awkward, {}))
    store.read(one)
    found = again(store).read(one)
    assert {name: array[0, 0, 0] for name, array in found.arrays.items()} == {"../R1": 0, "a/b": 1, "a_b": 2}
    assert [path.name for path in store.folder.parent.iterdir()] == ["volumes"]


def test_what_cannot_be_made_says_so_and_leaves_nothing(store):
    def fail() -> PreparedContent:
        raise DataError("x.nii is truncated")

    with pytest.raises(DataError, match="truncated"):
        store.read(Recipe({"x": 1}, fail))
    assert not store.folder.exists()


def test_without_a_key_it_stays_in_memory(store):
    one = Recipe(None, Maker(1))
    assert store.prepare(one)[1] == "memory"
    assert store.read(one) is store.read(one)
    assert one.build.calls == 1
    assert not store.folder.exists()


def test_memory_is_given_back_with_the_recipe_and_bounded(store, monkeypatch):
    size = Maker(1)().n_bytes
    monkeypatch.setattr(prepared, "MEMORY_BYTES", 2 * size)
    first, second, third = (Recipe(None, Maker(number)) for number in (1, 2, 3))
    for one in (first, second, third, third):
        assert same(store.read(one), one.build.number)
    assert [one.build.calls for one in (first, second, third)] == [1, 1, 2]
    del first, one
    store.read(third)
    store.read(third)
    assert third.build.calls == 3


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x10
    path.write_bytes(content)


def damage_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:6] = b"NUMPYX"
    path.write_bytes(content)


DAMAGE = {
    "a flipped byte": lambda folder: flip(folder / "0-image.npy"),
    "a flipped header": lambda folder: damage_header(folder / "0-image.npy"),
    "truncated": lambda folder: os.truncate(folder / "0-image.npy", 200),
    "emptied": lambda folder: (folder / "1-head.npy").write_bytes(b""),
    "an array gone": lambda folder: (folder / "1-head.npy").unlink(),
    "meta gone": lambda folder: (folder / "meta.json").unlink(),
    "meta empty": lambda folder: (folder / "meta.json").write_text(""),
    "meta no dictionary": lambda folder: (folder / "meta.json").write_text("[1, 2]"),
    "meta cut": lambda folder: os.truncate(folder / "meta.json", 100),
    "meta not text": lambda folder: (folder / "meta.json").write_bytes(b"\xff\xfe\x00{"),
    "a fact changed": lambda folder: (folder / "meta.json").write_text(
        (folder / "meta.json").read_text().replace('"made_vox": 7', '"made_vox": 8')
    ),
    "a folder in place of an array": lambda folder: (
        (folder / "0-image.npy").unlink(),
        (folder / "0-image.npy").mkdir(),
    ),
    "all gone": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_made_again(store, caplog, what):
    one = recipe()
    store.read(one)
    time.sleep(0.02)  # the clock of file times is coarse
    DAMAGE[what](store.place(one.key))
    other = recipe()
    for reader in (store, again(store)):
        if other.build.calls == 0:
            content, state = reader.prepare(other)
            assert state == "rebuilt"
        else:
            content, state = reader.prepare(other)
            assert state == "found"
        assert same(content)
    assert other.build.calls == 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert "is damaged" in message
    assert "made again" in message
    assert one.key in message
    assert hidden(store) == []


def test_an_entry_under_another_key_is_not_believed(store):
    one, two = recipe(1), recipe(2)
    store.read(one)
    shutil.copytree(store.place(one.key), store.place(two.key))
    content, state = again(store).prepare(two)
    assert state == "rebuilt"
    assert same(content, 2)


def test_another_schema_is_made_again(store, monkeypatch):
    one = recipe()
    store.read(one)
    monkeypatch.setattr(prepared_entry, "SCHEMA", prepared_entry.SCHEMA + 1)
    assert again(store).prepare(one)[1] == "rebuilt"


def test_a_change_that_kept_size_and_time_is_found(store):
    one = recipe()
    store.read(one)
    path = store.place(one.key) / "0-image.npy"
    times = path.stat()
    flip(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.prepare(one)[1] == "found", "this process has compared that file before"
    assert again(store).prepare(one)[1] == "rebuilt"
    assert same(again(store).read(one))


def test_a_copy_with_other_times_is_checked_once_and_used(store, monkeypatch):
    one = recipe()
    store.read(one)
    for path in store.place(one.key).glob("*.npy"):
        os.utime(path, (1, 1))
    checked: list[Path] = []
    real = prepared_entry._compute_crc32
    monkeypatch.setattr(prepared_entry, "_compute_crc32", lambda path: checked.append(path) or real(path))
    other = again(store)
    for _ in range(3):
        assert other.prepare(one)[1] == "found"
    assert len(checked) == 2
    assert len({path.name for path in checked}) == 2


def test_sound_entries_are_read_for_checking_once_in_a_process(store, monkeypatch):
    one = recipe()
    store.read(one)
    other = again(store)
    assert other.prepare(one)[1] == "found"
    monkeypatch.setattr(prepared_entry, "_compute_crc32", lambda path: pytest.fail("was read"))
    assert other.prepare(one)[1] == "found"


# Many processes


def _ask(folder: str, waiting: object, answers: object) -> None:
    store, one = VolumeStore(Path(folder), 10**9), recipe(3, (40, 40, 40))
    waiting.wait()  # type: ignore[attr-defined]
    content, state = store.prepare(one)
    answers.put((state, same(content, 3, (40, 40, 40)), float(content.arrays["image"].sum())))  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_eight_processes_at_once(store, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context = multiprocessing.get_context(method)
    waiting, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_ask, args=(str(store.folder), waiting, answers)) for _ in range(8)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 8
    assert all(equal for _, equal, _ in found)
    assert len({total for *_, total in found}) == 1
    assert {state for state, *_ in found} <= {"built", "found"}
    assert len(visible(store)) == 1
    assert hidden(store) == []
    assert again(store).prepare(recipe(3, (40, 40, 40)), verify=True)[1] == "found"


def test_the_first_to_finish_wins(store):
    """Another process stores the same entry while this one is making it."""
    other = again(store)

    def build() -> PreparedContent:
        other.read(recipe())
        return Maker(1)()

    content, _ = store.prepare(Recipe({"number": 1}, build))
    assert same(content)
    assert hidden(store) == []


def test_an_open_volume_outlives_its_entry(store):
    content = store.read(recipe())
    assert store.clean()
    assert not store.folder.exists()
    assert same(content)
    assert same(store.read(recipe()))


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from mribench.data import prepared_entry
from mribench.data.prepared import PreparedContent, Recipe, VolumeStore

real = np.save
def slowly(stream, array, **options):
    stream.write(b"half of it")
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
np.save = slowly
VolumeStore(Path(sys.argv[1]), 10**9).read(
    Recipe({"number": 1}, lambda: PreparedContent({"image": np.zeros((8, 9, 10))}, {}))
)
"""


def test_a_killed_process_leaves_nothing_that_is_taken_for_an_entry(store):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    assert visible(store) == []
    (left,) = hidden(store)
    content, state = store.prepare(recipe())
    assert state == "built"
    assert same(content)
    assert left.exists(), "it may be at work still"
    os.utime(left, (time.time() - prepared.SWEEP_S - 5,) * 2)
    store.read(recipe(2))
    assert hidden(store) == []
    assert len(visible(store)) == 2


# Bounds


def entry_bytes(store: VolumeStore) -> int:
    one = VolumeStore(store.folder.parent / "measured", 10**9)
    one.read(recipe())
    return one.size()[1]


def used_ago(store: VolumeStore, one: Recipe, seconds: float) -> None:
    os.utime(store.place(one.key) / "used", (time.time() - seconds,) * 2)


def test_what_was_not_used_for_longest_goes_first(store):
    size = entry_bytes(store)
    store.limit_bytes = int(3.5 * size)
    first, second, third, fourth, fifth = (recipe(number) for number in range(1, 6))
    for age, one in ((3000, second), (2000, third), (4000, first)):
        store.read(one)
        used_ago(store, one, age)
    store.read(fourth)
    assert visible(store) == sorted(one.key for one in (second, third, fourth))
    store.read(fifth)
    assert visible(store) == sorted(one.key for one in (third, fourth, fifth))
    assert store.size()[1] <= store.limit_bytes
    assert store.size()[0] == 3
    content, state = store.prepare(recipe(1))
    assert state == "built"
    assert same(content)


def test_reading_makes_it_recent(store, monkeypatch):
    size = entry_bytes(store)
    store.limit_bytes = int(2.5 * size)
    first, second = recipe(1), recipe(2)
    for one in (first, second):
        store.read(one)
        used_ago(store, one, 5000)
    again(store).read(first)
    store.read(recipe(3))
    assert visible(store) == sorted([first.key, recipe(3).key])


def test_the_time_of_use_is_written_once_a_minute(store, monkeypatch):
    one = recipe()
    store.read(one)
    used_ago(store, one, 5000)
    store.read(one)
    assert time.time() - (store.place(one.key) / "used").stat().st_mtime > 4000
    clock = time.monotonic
    monkeypatch.setattr(prepared.time, "monotonic", lambda: clock() + prepared.TOUCH_S + 1)
    store.read(one)
    assert time.time() - (store.place(one.key) / "used").stat().st_mtime < 60


def test_what_is_in_use_is_not_evicted(store, caplog):
    store.limit_bytes = int(2.5 * entry_bytes(store))
    for number in (1, 2):
        store.read(recipe(number))
    third = recipe(3)
    content, state = store.prepare(third)
    assert state == "memory"
    assert same(content, 3)
    assert visible(store) == sorted([recipe(1).key, recipe(2).key])
    assert store.read(third) is content
    assert third.build.calls == 1
    store.read(recipe(4))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "MRIBENCH_CACHE_GB" in messages[0]
    assert "stay in memory" in messages[0]


def test_nothing_is_evicted_in_vain(store):
    store.limit_bytes = int(2.5 * entry_bytes(store))
    old, new = recipe(1), recipe(2)
    store.read(old)
    store.read(new)
    used_ago(store, old, 5000)
    assert store.prepare(recipe(3, (20, 20, 40)))[1] == "memory"
    assert visible(store) == sorted([old.key, new.key])


def test_some_of_the_disk_stays_free(store, monkeypatch):
    size = entry_bytes(store)
    usage = shutil.disk_usage(store.folder.parent)
    gigabytes = 10**9

    def disk(total: int, free: float) -> None:
        found = type(usage)(total, int(total - free), int(free))
        monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: found)

    disk(10 * gigabytes, 0.5 * gigabytes + 0.5 * size)  # 5 % of a small disk
    assert store.prepare(recipe(1))[1] == "memory"
    disk(10 * gigabytes, 0.5 * gigabytes + 1.5 * size)
    assert store.prepare(recipe(2))[1] == "built"
    disk(1000 * gigabytes, 5 * gigabytes + 0.5 * size)  # 5 GB of a large one
    assert store.prepare(recipe(3))[1] == "memory"
    used_ago(store, recipe(2), 5000)
    assert store.prepare(recipe(4))[1] == "built"
    assert visible(store) == [recipe(4).key]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_is_no_failure(store, monkeypatch, caplog, code):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(np, "save", fail)
    for number in (1, 2):
        content, state = store.prepare(recipe(number))
        assert state == "memory"
        assert same(content, number)
    assert visible(store) == hidden(store) == []
    (message,) = [record.getMessage() for record in caplog.records]
    assert os.strerror(code) in message
    assert str(store.folder) in message


def test_a_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    store = VolumeStore(tmp_path / "file" / "volumes", 10**9)
    one = recipe()
    content, state = store.prepare(one)
    assert (state, same(content), store.size()) == ("memory", True, (0, 0))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_used_as_it_is(store):
    store.read(recipe(1))
    folders = [store.folder, *store.folder.rglob("*")]
    for path in folders:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        reader = again(store)
        assert reader.prepare(recipe(1))[1] == "found"
        assert reader.prepare(recipe(2))[1] == "memory"
    finally:
        for path in folders:
            path.chmod(path.stat().st_mode | 0o200)


def test_what_cannot_be_removed_is_skipped(store, monkeypatch):
    """As on systems that keep open files."""
    store.limit_bytes = int(2.5 * entry_bytes(store))
    kept, idle = recipe(1), recipe(2)
    for age, one in ((9000, kept), (5000, idle)):
        store.read(one)
        used_ago(store, one, age)
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == kept.key:
            raise PermissionError(errno.EACCES, "open elsewhere")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert store.prepare(recipe(3))[1] == "built"
    assert visible(store) == sorted([kept.key, recipe(3).key])


# Settings


def test_the_store_is_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "here"))
    monkeypatch.delenv("MRIBENCH_CACHE_GB", raising=False)
    store = get_volume_store()
    assert store.folder == tmp_path / "here" / "volumes"
    assert store.limit_bytes == 100 * 10**9
    assert get_volume_store() is store
    monkeypatch.setenv("MRIBENCH_CACHE_GB", "0.5")
    assert get_volume_store().limit_bytes == 5 * 10**8
    monkeypatch.setenv("MRIBENCH_CACHE_GB", "0")
    assert get_volume_store().prepare(recipe())[1] == "memory"


@pytest.mark.parametrize("given", ["much", "-1", "nan", "inf", "1e400", "10 GB"])
def test_a_limit_that_is_none(monkeypatch, given):
    monkeypatch.setenv("MRIBENCH_CACHE_GB", given)
    with pytest.raises(ConfigError, match=f"MRIBENCH_CACHE_GB is '{given}'"):
        get_volume_store()
