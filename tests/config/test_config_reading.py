"""Strict YAML."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from mribench.config.reading import MAX_BYTES, MAX_VALUES, read_file, read_text
from mribench.errors import ConfigError


def _complaint(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_text(text, "x.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("5.0e-5", 5e-5),
        ("1E4", 1e4),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+5", 5),
        ("-0", 0),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'null'", "null"),
        ("٣", "٣"),
        ("1e", "1e"),
        ("e3", "e3"),
        ("1e-3x", "1e-3x"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = read_text(f"key: {text}", "x")["key"]
    assert read == value
    assert type(read) is type(value)


def test_anchors_and_merges_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, z: 4}\nd: [*a, *a]\n"
    assert read_text(text, "x") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 3, "z": 4},
        "d": [{"x": 1, "y": 2}] * 2,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml: line 3: duplicate key 'a', first given in line 1"),
        ("a:\n  b: 1\n  'b': 2\n", "x.yaml: line 3: duplicate key 'b', first given in line 2"),
        ("a: 1\n3: x\n", "x.yaml: line 2: expected a text as a key"),
        ("true: x\n", "x.yaml: line 1: expected a text as a key"),
        ("? [a, b]\n: x\n", "x.yaml: line 1: expected a text as a key"),
        ("a: !<x:os> y\n", "x.yaml: line 1: the tag 'x:os' is not allowed"),
        ("a: !!int ''\n", "x.yaml: line 1: the tag 'tag:yaml.org,2002:int' is not allowed"),
        ("a: !mine {}\n", "x.yaml: line 1: the tag '!mine' is not allowed"),
        ("a: 1\nb: *c\n", "x.yaml: line 2: not YAML: found undefined alias 'c'"),
        ("a: &a [1, *a]\n", f"x.yaml: line 1: more than {MAX_VALUES} values once aliases are expanded"),
        ("a: &a {b: *a}\n", f"x.yaml: line 1: more than {MAX_VALUES} values once aliases are expanded"),
        ("a:\n  b: .inf\n", "x.yaml: line 2: expected a finite number, got .inf"),
        ("a: [1, .nan]\n", "x.yaml: line 1: expected a finite number, got .nan"),
        ("a: 1e999\n", "x.yaml: line 1: expected a finite number, got 1e999"),
    ],
)  # fmt: skip
def test_refused_with_line_and_reason(text: str, message: str) -> None:
    assert _complaint(text).message == message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'x\n", 2),
        ("a: b: c\n", 1),
        ("- 1\nb: 2\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: @x\n", 1),
        ("%YAML 3.0\n---\na: 1\n", 1),
    ],
)
def test_syntax_errors_have_a_line(text: str, line: int) -> None:
    error = _complaint(text)
    assert error.message.startswith(f"x.yaml: line {line}: not YAML: ")
    assert "\n" not in error.message
    assert error.hint


@pytest.mark.parametrize("text", ["a: \x00", 'a: "\\U00110000"', 'a: "\\UFFFFFFFF"', f"a: {'9' * 5000}"])
def test_what_pyyaml_cannot_digest_is_no_crash(text: str) -> None:
    assert "not YAML" in _complaint(text).message


def test_python_objects_are_refused() -> None:
    assert "python/object/apply:os.system" in _complaint("a: !!python/object/apply:os.system [ls]\n").message


def test_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert f"more than {MAX_VALUES} values" in _complaint("\n".join(lines)).message


def test_merge_bomb_is_refused() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    assert f"more than {MAX_VALUES} values" in _complaint("\n".join(lines)).message


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, "{a: " * 5000 + "}" * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert _complaint(text).message == "x.yaml: nested too deeply"


def test_as_many_values_as_are_allowed() -> None:
    texts = ", ".join(["x"] * (MAX_VALUES - 1))
    assert len(read_text(f"[{texts}]", "x")) == MAX_VALUES - 1
    assert "more than" in _complaint(f"[{texts}, x]").message


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").touch()
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        read_file(tmp_path / "mine.yaml")
    assert caught.value.hint == "in that folder: other.yaml"


def test_folder_and_impossible_path_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.yaml: expected a mapping of keys, got nothing"),
        (b"# only a comment\n", "t.yaml: expected a mapping of keys, got nothing"),
        (b"[1, 2]", "t.yaml: expected a mapping of keys, got a list"),
        (b"text", "t.yaml: expected a mapping of keys, got a str"),
    ],
)
def test_no_mapping(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    assert caught.value.message == message


def test_only_lists_that_may_be_empty_are_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("measure_defects:\nseeds:\ndefects: null\n")
    assert read_file(path) == {"measure_defects": [], "seeds": None, "defects": None}


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes("\ufeffa: ü\n".encode())
    assert read_file(path) == {"a": "ü"}
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"t\.yaml: not YAML: unacceptable character #x00ff"):
        read_file(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match=f"more than {MAX_BYTES} bytes"):
        read_file(path)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-[]{},&*!?|>'\"%@#\n \t0.eE~<", max_size=60) | st.text(max_size=40))
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        read_text(text, "x")
