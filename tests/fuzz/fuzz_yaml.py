"""Benchmark files that nobody should have written, one for each seed.

``python tests/fuzz/fuzz_yaml.py --cases 3000 --start 0`` runs them; the same seed always makes the same file.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import fuzz_running
import jsonschema
import yaml
from fuzz_running import Defect, check_refusal, timed

from mribench.config import config_digest, load_benchmark, resolve
from mribench.config.overrides import apply_size, parse_setting
from mribench.config.reading import read_file
from mribench.config.schema import benchmark_schema
from mribench.errors import MRIBenchError
from mribench.plugins import load_registry
from mribench.registry import Registry

REPOSITORY = Path(__file__).parent.parent.parent
VALID = (
    "tests/benchmarks/tiny.yaml", "tests/benchmarks/tiny.yaml", "benchmarks/quickstart.yaml",
    "benchmarks/paper-on-phantom.yaml", "benchmarks/paper.yaml",
)  # fmt: skip
ENVIRONMENT = {
    "FUZZ_WORD": "x", "FUZZ_EMPTY": "", "FUZZ_LONG": "y" * 100_000, "FUZZ_CONTROL": "\x1b[2J\n\t",
    "FUZZ_BACK": "\\1\\g<0>",
    "FUZZ_AGAIN": "${FUZZ_AGAIN}",
}  # fmt: skip
VARIABLES = (
    "${FUZZ_WORD}", "${FUZZ_EMPTY}", "${FUZZ_LONG}", "${FUZZ_CONTROL}", "${FUZZ_BACK}", "${FUZZ_AGAIN}",
    "${", "${}",
    "${:-}", "${1}", "${A:-${B}}", "${NOT_SET:-}", "${NOT_SET:-x}", "$FUZZ_WORD", "$${FUZZ_WORD}",
    "a${FUZZ_WORD}b${NOT_SET}",
    "${FUZZ WORD}", "${é}", "${FUZZ_WORD", "}${", "${" * 10_000, "${FUZZ_WORD}" * 5000,
    "${A:-" + "x" * 50_000 + "}",
    "${A:-\x1b[2J}", "${A:-\n}",
)  # fmt: skip
TEXTS = (
    "", " ", "\n", "\t", "\x1b[31mred", "\u202eabc", "\u2028", "é", "𝔘", "\x00", "\x7f", "\ufeff", "a" * 300,
    "a" * 100_000, "b\n" * 3000, "phantom", "simclr-recon", "seqinv", "nonsense", "name", "by", "null", "~",
    "1", "1e5",
    ".inf", "2020-01-01", "<<", "=", "*a", "&a", "!!python/object:os.system", "../../etc/passwd",
    "/dev/zero", "a.b.c",
    "a=b", "scratch", "identity", "paper-1", "{}", "[]", "T1w", "0", "true", "-", "--", ".", "..", "%s%n{0}",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 127, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1,
    10**30, 10**400,
    -(10**400), 10**4200, 0.0, -0.0, 0.5, 1.0, 1.5, -1.5, 5e-324, 1e-30, 1e300, 1.7976931348623157e308,
    float("inf"), float("-inf"), float("nan"), True, False,
)  # fmt: skip


def nested(depth: int, mapping: bool = False) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"name": value} if mapping else [value]
    return value


@dataclass
class Case:
    """A benchmark file to be, and the ``--set`` texts that go with it."""

    rng: random.Random
    tree: Any
    text: str = ""
    sets: list[str] = field(default_factory=list)
    data: bytes | None = None
    name: str = "fuzz.yaml"
    said: list[str] = field(default_factory=list)


@cache
def _valid(path: str) -> tuple[str, Any]:
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    return text, yaml.safe_load(text)


def nasty(rng: random.Random) -> Any:
    """Return a value that belongs nowhere in particular."""
    kind = rng.choice(
        ("text", "text", "number", "number", "variable", "structure", "structure", "long", "deep")
    )
    if kind == "text":
        return rng.choice(TEXTS)
    if kind == "number":
        return rng.choice(NUMBERS)
    if kind == "variable":
        return rng.choice(VARIABLES)
    if kind == "long":
        return rng.choice(
            ([0] * 20_000, list(range(3000)), {f"k{i}": i for i in range(3000)}, [{}] * 5000, ["a"] * 9000)
        )
    if kind == "deep":
        return nested(rng.choice((2, 5, 20, 38, 41, 60, 150)), rng.random() < 0.5)
    return copy.deepcopy(
        rng.choice(
            (None, [], {}, [[]], [None], {"": 1}, {"name": None}, {"name": {}}, {"name": []}, {"name": ""},
            {"by": 3},
             {"name": "phantom", "zzz": 1}, {"name": "phantom", "name2": {}}, {"1": 2}, {" ": {" ": {}}},
             [{}, []],
             {"name": {"name": {"name": "x"}}}, [1, "a", None, [], {}], {"a\nb": 1}, {"\x1b[31m": 2},
             {"k" * 2000: 1},
             {"options": {}}, {"kind": "task"}, {"model_config": 1}, {"__class__": "x"}, {"name": "mprage",
             "augment": []},
             {"augment": {"a": {"b": [1, {"c": nested(5)}]}}}, {"by": "site", "train_site": {}},
             {"name": TEXTS[13]})
        )
    )  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value below a tree."""
    items = (
        list(tree.items())
        if isinstance(tree, dict)
        else list(enumerate(tree))
        if isinstance(tree, list)
        else []
    )
    found = []
    for key, value in items:
        found.append((*path, key))
        found += places(value, (*path, key))
    return found


def owner(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree


# ---- what is done to the tree ----


def replace(case: Case) -> None:
    if all_places := places(case.tree):
        path = case.rng.choice(all_places)
        value = nasty(case.rng)
        owner(case.tree, path)[path[-1]] = value
        what = "a number" if isinstance(value, int) else repr(value)[:40]  # it may have too many digits
        case.said.append(f"{'.'.join(map(str, path))[:60]} = {what}")


def remove(case: Case) -> None:
    if all_places := places(case.tree):
        path = case.rng.choice(all_places)
        del owner(case.tree, path)[path[-1]]
        case.said.append(f"without {path}"[:80])


def rename(case: Case) -> None:
    paths = [path for path in places(case.tree) if isinstance(path[-1], str)]
    if paths:
        path = case.rng.choice(paths)
        above = owner(case.tree, path)
        new = case.rng.choice((*TEXTS, path[-1].upper(), path[-1] + "x", path[-1][:-1], "k" * 500))
        above[new] = above.pop(path[-1])


def add(case: Case) -> None:
    owners = [case.tree, *(owner(case.tree, (*path, 0)) for path in places(case.tree))]
    above = case.rng.choice([item for item in owners if isinstance(item, dict | list)])
    if isinstance(above, dict):
        above[case.rng.choice((*TEXTS, "augment", "pretrain", "encoder", "size", "sizes"))] = nasty(case.rng)
    else:
        above.insert(case.rng.randint(0, len(above)), nasty(case.rng))


def move(case: Case) -> None:
    """One part of the file in the place of another."""
    paths = places(case.tree)
    if len(paths) > 1:
        source, target = case.rng.sample(paths, 2)
        value = copy.deepcopy(owner(case.tree, source)[source[-1]])
        owner(case.tree, target)[target[-1]] = value


def sizes(case: Case) -> None:
    if isinstance(case.tree, dict):
        name = case.rng.choice(("small", "x", "", "\x1b[1m", "k" * 3000))
        patch = case.rng.choice(
            ({}, copy.deepcopy(case.tree), nasty(case.rng), {case.rng.choice(TEXTS): nasty(case.rng)})
        )
        case.tree["sizes"] = case.rng.choice(({name: patch}, {name: patch, "other": {}}, nasty(case.rng)))
        case.tree["size"] = case.rng.choice((name, name, "other", nasty(case.rng)))


def variables(case: Case) -> None:
    data = case.tree.get("data") if isinstance(case.tree, dict) else None
    if paths := places(data):
        path = case.rng.choice(paths)
        owner(data, path)[path[-1]] = case.rng.choice(VARIABLES)


# ---- what is done to the text ----


def _lines(case: Case, change: Callable[[list[str]], None]) -> None:
    lines = case.text.split("\n")
    change(lines)
    case.text = "\n".join(lines)


def swap_lines(case: Case) -> None:
    def change(lines: list[str]) -> None:
        a, b = case.rng.randrange(len(lines)), case.rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]

    _lines(case, change)


def repeat_line(case: Case) -> None:
    _lines(case, lambda lines: lines.insert(case.rng.randrange(len(lines)), case.rng.choice(lines)))


def drop_line(case: Case) -> None:
    _lines(case, lambda lines: lines.pop(case.rng.randrange(len(lines))))


def indent_line(case: Case) -> None:
    def change(lines: list[str]) -> None:
        at = case.rng.randrange(len(lines))
        lines[at] = case.rng.choice(("\t", " ", "  ", "\u00a0", "- ", "? ", ": ", "\ufeff")) + lines[at]

    _lines(case, change)


def cut(case: Case) -> None:
    case.text = case.text[: case.rng.randint(0, len(case.text))]


def splice(case: Case) -> None:
    """Put something in the middle that YAML has a meaning for."""
    at = case.rng.randint(0, len(case.text))
    case.text = case.text[:at] + case.rng.choice(PIECES) + case.text[at:]


PIECES = (
    "\t", "\x00", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\ud800", "\n---\n", "\n...\n", "\n--- a\n",
    "\n%YAML 1.1\n---\n",
    "\n%TAG ! tag:x,2000:\n---\n", "!!python/object:os.system ", "!!python/object/apply:os.system [ls]",
    "!!binary aGk=",
    "!!set {a}", "!!timestamp 2020-01-01", "!x ", "!<tag:yaml.org,2002:str> ", "&a ", "*a", "*a ",
    "<<: *a\n", "\n<<: {x: 1}\n",
    "\n<<: [1, 2]\n", "\n? [a]\n: b\n", "\n? |\n  a\n: b\n", "{", "}", "[", "]", "{{", "'", '"', "|", ">",
    "|9", "\n- a\n",
    ": ", ":", "?", "#", " #", ",", "@", "`", "%", "\\", "\r", "\r\n", '"\\ud800"', '"\\x00"',
    '"\\U0010FFFF"', '"\\UFFFFFFFF"',
    "9" * 5000, "1" + "0" * 4200, "-" * 3000, "[" * 3000, "{a: " * 500, "? " * 2000, "- " * 3000,
    "a: " * 2000, "&a " * 50,
    "x" * 3000 + ": 1\n", "'" + "y" * 100_000, "# " + "z" * 200_000 + "\n", " " * 50_000, "\n" * 20_000,
    "[,]", "{,}", "? ? ?",
    "!" * 2000, "a: &a [*a]\n", "a: &a {b: *a}\n", "&a a: *a\n", "1e999", "0x10", "0o7", "1:30",
    "2020-01-01", "\n<<: &a {<<: *a}\n",
)  # fmt: skip


def crlf(case: Case) -> None:
    case.text = case.text.replace("\n", case.rng.choice(("\r\n", "\r", "\n\n", "\u2028", "\x85")))


def bomb(case: Case) -> None:
    """Something that is small, and becomes large or slow."""
    n = case.rng.choice((3, 3, 3, 10, 10, 30))
    bombs = (
        lambda: (
            "a0: &a0 [x, x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * n)}]\n" for i in range(1, 25))
        ),
        lambda: (
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * n)}]}}\n" for i in range(1, 25))
        ),
        lambda: "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60)),
        lambda: f"a0: &a0 {'q' * 1000}\nb: [{', '.join(['*a0'] * 30_000)}]\n",
        lambda: "b: [" + "[]," * 30_000 * n + "]\n",
        lambda: "".join(f"key{i}: {i}\n" for i in range(8000 * n)),
        lambda: "{" + ",".join(f"k{i}" for i in range(8000 * n)) + "}",
        lambda: "a: '" + "word " * 20_000 * n + "'\n",
        lambda: "a: |\n" + " line\n" * 20_000 * n,
        lambda: "a: word\n" + " word\n" * 20_000 * n,
        lambda: "#" * 30_000 * n + "\n" + "# comment\n" * 10_000 * n,
        lambda: 'a: "' + "\\u0041" * 10_000 * n + '"\n',
        lambda: "".join(" " * i + "a:\n" for i in range(30 * n)),
        lambda: "".join(f"a{i}: &b{i} x\n" for i in range(3000 * n)),
        lambda: "a: " + "9" * 1000 * n + "\n",
        lambda: "a: " + "1." + "0" * 30_000 * n + "e" + "9" * 30 + "\n",
        lambda: "a: " + "-" * 30_000 * n + "\n",
        lambda: "a: " + "1" * 4000 + "e" + "\n",
        lambda: "%TAG !a! b\n" * 3000 * n + "---\na: 1\n",
        lambda: "---\n" * 3000 * n,
        lambda: " " * 30_000 * n,
        lambda: "a: [" + "b: c, " * 8000 * n + "]\n",
        lambda: "a: {" + ", ".join(f"k{i}: [a, {{b: c}}]" for i in range(1500 * n)) + "}\n",
        lambda: "? a\n" * 2000 * n,
        lambda: "- " * 5000 * n,
    )
    which = case.rng.randrange(len(bombs))
    text = bombs[which]()
    case.said.append(f"bomb {which} of {len(text)} characters")
    case.text = text if case.rng.random() < 0.5 else case.text + "\n" + text


# ---- what is done to the bytes, and to the command line ----


def flip_bytes(case: Case) -> None:
    data = bytearray(_encoded(case.text))
    for _ in range(case.rng.choice((1, 1, 3, 30))):
        if data:
            data[case.rng.randrange(len(data))] = case.rng.randrange(256)
    case.data = bytes(data)


def encode(case: Case) -> None:
    codec = case.rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp037", "utf-7"))
    case.data = case.text.encode(codec, "replace")
    if case.rng.random() < 0.2:
        case.data = b"\xef\xbb\xbf" * 2 + case.data


def binary(case: Case) -> None:
    case.data = case.rng.choice(
        (b"", b"\n", b"\0", b"\0" * 5000, case.rng.randbytes(3000), b"\xff" * 10, b"\x1f\x8b" * 30, b"null",
        b"[]", b"- a",
         b"3", b"text", b"#", b"---", b"...", b"{}", b"{", b"\t", b"x" * 1_000_000, b"#" * 1_000_001,
         b"a: 1\n" * 200_000)
    )  # fmt: skip


def settings(case: Case) -> None:
    for _ in range(case.rng.choice((1, 1, 2, 4))):
        paths = places(case.tree) or [("seeds",)]
        path = [str(part) for part in case.rng.choice(paths)]
        how = case.rng.choice(("longer", "given", "given", "odd key", "odd text"))
        if how == "longer":
            path += [case.rng.choice(TEXTS)[:200] for _ in range(case.rng.choice((1, 3, 45)))]
        elif how == "odd key":
            path[case.rng.randrange(len(path))] = case.rng.choice(TEXTS)[:3000]
        value = case.rng.choice(
            (json.dumps(_short(nasty(case.rng))), case.rng.choice(PIECES), case.rng.choice(TEXTS))
        )
        text = f"{'.'.join(path)}={value}"
        odd = ("", "=", "a", "a=", "=a", ".", ".=.", "a.=1", "..=1", "a..b=1", "size=", "size=x",
        "sizes.x.y=1", "sizes=1", "size=[",
               "seeds=[0", "seeds=&a [*a]", "seeds=!!python/name:os", "seeds=0\n1", "\udcff=1", "a=\udcff",
               "x" * 5000, "a=" + "[" * 5000,
               "seeds=[" + "0," * 60_000 + "]", "a." * 5000 + "b=1", "seeds", "seeds==1", "seeds=1=2",
               " seeds = [1] ", "\x1b[2J=1")  # fmt: skip
        case.sets.append(case.rng.choice(odd) if how == "odd text" else text)


def odd_name(case: Case) -> None:
    case.name = case.rng.choice(
        ("a\nb.yaml", "\x1b[31m.yaml", "\u202elmay.yaml", "é.yaml", "x" * 250, "\udcff.yaml", "none",
        "folder/none.yaml", "a\0b",
         "x" * 300, ".", "pipe", "loop", "/dev/zero", "/dev/null", "/proc/self/mem", "/proc/self/environ")
    )  # fmt: skip


TREE_CHANGES = (
    replace,
    replace,
    replace,
    replace,
    remove,
    rename,
    add,
    add,
    move,
    move,
    sizes,
    variables,
    variables,
)
TEXT_CHANGES = (
    swap_lines,
    repeat_line,
    drop_line,
    indent_line,
    cut,
    splice,
    splice,
    splice,
    crlf,
    bomb,
    bomb,
)
LAST_CHANGES = (flip_bytes, encode, binary, settings, settings, settings, odd_name)


def _short(value: Any) -> Any:
    return value if len(repr(value)) < 3000 else [0] * 10 if not isinstance(value, str) else value[:3000]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _dump(case: Case) -> str:
    """Write the tree as YAML in one of two ways; both write what cannot be read back as they like."""
    if case.rng.random() < 0.7:
        return (
            json.dumps(case.tree, ensure_ascii=case.rng.random() < 0.5)
            .replace("NaN", ".nan")
            .replace("Infinity", ".inf")
        )
    return yaml.safe_dump(case.tree, allow_unicode=case.rng.random() < 0.5, sort_keys=False)


def make(seed: int) -> Case:
    """Return the case of a seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    source = rng.choice(VALID)
    text, tree = _valid(source)
    case = Case(rng, copy.deepcopy(tree), text, said=[source])
    kinds = rng.choice(
        (("tree",), ("tree",), ("tree",), ("text",), ("text",), ("last",), ("tree", "text"), ("tree", "last"))
    )
    if "tree" in kinds:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change = rng.choice(TREE_CHANGES)
            case.said.append(change.__name__)
            change(case)
        case.text = _dump(case)
    if "text" in kinds:
        for _ in range(rng.choice((1, 1, 2, 4))):
            text_change = rng.choice(TEXT_CHANGES)
            case.said.append(text_change.__name__)
            text_change(case)
    if "last" in kinds:
        last = rng.choice(LAST_CHANGES)
        case.said.append(last.__name__)
        last(case)
    return case


# ---- what must hold ----


@cache
def registry() -> Registry:
    return load_registry()


@cache
def schema() -> jsonschema.Draft202012Validator:
    found = benchmark_schema(registry())
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def put(case: Case, folder: Path) -> Path:
    """Write the file, or something that is no file; some names no file can have."""
    path = folder / case.name
    if case.name == "pipe":
        os.mkfifo(path)
    elif case.name == "loop":
        path.symlink_to(path)
    elif not case.name.startswith("/"):
        try:
            path.write_bytes(_encoded(case.text) if case.data is None else case.data)
        except (OSError, ValueError) as error:
            case.said.append(f"could not be written: {type(error).__name__}")
    return path


def check_path(path: Path, sets: tuple[str, ...] = ()) -> str:
    """Load and resolve a benchmark file; raise when anything but a result or a refusal comes out."""
    for text in sets:
        try:
            timed(parse_setting, text)
        except MRIBenchError as error:
            check_refusal(error, "--set")
    names = (path.name, "--set", "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path.name)[-60:])
    try:
        config = timed(load_benchmark, path, sets)
        digest = timed(config_digest, config)
        timed(resolve, config, registry())
    except MRIBenchError as error:
        return check_refusal(error, *names)
    if digest != config_digest(load_benchmark(path, sets)):
        raise Defect("another digest the second time")
    json.dumps(config.model_dump(mode="json"), allow_nan=False).encode()
    if not sets:
        _check_schema(path)
    return "accepted"


def _check_schema(path: Path) -> None:
    """What mribench takes, the schema must take; variables and sizes are laid over first.

    Some options of plugins take numbers in quotes, which the schema does not; that is no defect.
    """
    tree = apply_size(read_file(path), path.name)
    if "${" in json.dumps(tree):
        return
    wrong = next(schema().iter_errors(tree), None)
    if wrong is not None and not schema().is_valid(_as_numbers(tree)):
        raise Defect(f"the schema refuses {'.'.join(map(str, wrong.absolute_path))}: {wrong.message[:300]}")


def _as_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_numbers(item) for item in value]
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return value
    if number is None:
        return value
    return int(number) if number.is_integer() else number


def check_case(seed: int, folder: Path) -> str:
    """Make and check the case of a seed."""
    os.environ.update(ENVIRONMENT)
    case = make(seed)
    return check_path(put(case, folder), tuple(case.sets))


def describe(seed: int) -> str:
    case = make(seed)
    sets = [ascii(text)[:100] for text in case.sets]
    return f"{', '.join(case.said)}; {len(case.text)} characters, --set {sets}; named {case.name[:40]!a}"


if __name__ == "__main__":
    schema()
    fuzz_running.main(check_case, describe)
