"""Fuzzed benchmark files, the corpus, and what the fuzzer found that is no small file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import fuzz_yaml
import pytest
from fuzz_running import Defect, check_refusal
from fuzz_yaml import check_path

from mribench.config import load_benchmark
from mribench.config.overrides import fill_in, parse_setting
from mribench.config.reading import MAX_BYTES, MAX_TEXT, read_file, read_text
from mribench.errors import ConfigError
from mribench.validation import readable
from mribench.wording import MAX_SENTENCE, printable

CORPUS = Path(__file__).parent / "corpus"
ROWS = {
    row.split("|")[1].strip(" `"): row.split("|")[3].strip()
    for row in (CORPUS / "README.md").read_text(encoding="utf-8").splitlines()
    if row.startswith("| `") and row.split("|")[1].strip(" `").endswith(".yaml")
}


def test_many_cases():
    command = [sys.executable, fuzz_yaml.__file__, "--cases", "250", "--start", "0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    figures = json.loads(done.stdout)
    assert figures["defects"] == []
    assert figures["cases"] == 250
    assert figures["accepted"] > 10
    assert figures["refused"] > 180
    assert figures["peak_mib"] < 1024


def test_the_same_seed_makes_the_same_file():
    for seed in (0, 7, 123):
        one, two = fuzz_yaml.make(seed), fuzz_yaml.make(seed)
        assert (one.text, one.data, one.sets, one.name) == (two.text, two.data, two.sets, two.name)


@pytest.mark.parametrize("name", ROWS)
def test_corpus(name):
    assert check_path(CORPUS / name).startswith(ROWS[name])


def test_a_schema_that_takes_less_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "tiny.yaml"
    path.write_text((fuzz_yaml.REPOSITORY / "tests/benchmarks/tiny.yaml").read_text())
    assert check_path(path) == "accepted"
    monkeypatch.setattr(
        fuzz_yaml, "schema", lambda: fuzz_yaml.jsonschema.Draft202012Validator({"maxProperties": 1})
    )
    with pytest.raises(Defect, match="the schema refuses"):
        check_path(path)


# ---- what users write, in messages ----


def test_printable_keeps_both_ends():
    text = printable("start " + "x" * 10_000 + " end")
    assert len(text) == MAX_SENTENCE
    assert text.startswith("start x")
    assert text.endswith("x end")
    assert "…" in text
    assert printable("plain é 𝔘 text") == "plain é 𝔘 text"
    assert printable("a\nb\x1b\u202e\udcff\x00") == r"a\nb\x1b\u202e\udcff\x00"


def test_readable_mends_messages_and_hints():
    with pytest.raises(ConfigError) as caught, readable():
        raise ConfigError("a\nb" + "x" * 5000, "\x1b[31m")
    check_refusal(caught.value, "a")
    with pytest.raises(KeyError), readable():
        raise KeyError("others pass")


@pytest.mark.parametrize(
    "text", ["x" * 5000, "a=" + "[" * 5000, "a\x1b[2J=1", "a=\n- b\nc", "a=&a [*a]\n", ".\u2028=",
    "k" * 500 + "=1", "a=\udcff"]
)  # fmt: skip
def test_a_bad_setting_is_one_printable_sentence(text):
    with pytest.raises(ConfigError) as caught:
        parse_setting(text)
    check_refusal(caught.value, "--set")


def test_the_file_is_named_whatever_its_name(tmp_path):
    for name in ("a\nb.yaml", "\x1b[31m.yaml", "x" * 250):
        (tmp_path / name).write_text("benchmark: 3\n")
        with pytest.raises(ConfigError) as caught:
            load_benchmark(tmp_path / name)
        check_refusal(caught.value, printable(name)[:50])


# ---- texts, in files and from the environment ----


@pytest.mark.parametrize(
    "text", ['"a\\nb"', '"\\e"', '"\\t"', '"\\u202e"', '"\\x7f"', "'" + "x" * (MAX_TEXT + 1) + "'"]
)
def test_a_text_that_cannot_be_shown_is_refused(text):
    for document in (f"a: {text}", f"a: [{text}]", f"? {text}\n: 1"):
        with pytest.raises(ConfigError) as caught:
            read_text(document, "x.yaml")
        check_refusal(caught.value, "x.yaml")


def test_long_paths_and_all_alphabets_are_text():
    path = "/data/Müller 磁共振 𝔘/" + "x" * 300
    assert read_text(f"a: {path}", "x.yaml") == {"a": path}


@pytest.mark.parametrize("value", ["x" * (MAX_TEXT + 1), "\x1b[2J", "a\nb"])
def test_so_is_one_from_the_environment(value):
    with pytest.raises(ConfigError, match=r"data\.a\.root, filled in from the environment") as caught:
        fill_in({"data": {"a": {"root": "/${V}"}}}, "x.yaml", {"V": value})
    check_refusal(caught.value, "x.yaml")


# ---- hangs ----


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ConfigError, match="is a pipe or a device"):
            read_file(path)


def test_the_largest_file_takes_seconds():
    text = "{" + ",".join(f"k{i}" for i in range(MAX_BYTES))
    start = time.process_time()
    with pytest.raises(ConfigError):
        read_text(text[: MAX_BYTES - 1], "x.yaml")
    assert time.process_time() - start < 5
    with pytest.raises(ConfigError, match=f"more than {MAX_BYTES} characters"):
        parse_setting(f"a={text}")
