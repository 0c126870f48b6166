from __future__ import annotations

import pytest

from mribench.wording import count, list_some, one_line, printable, spell_out


@pytest.mark.parametrize(
    ("names", "separator", "expected"),
    [
        ([], ", ", ""),
        (["a"], ", ", "a"),
        (["a", "b"], ", ", "a, b"),
        (["a", "b", "c", "d"], ", ", "a, b and 2 more"),
        (["a", "b", "c"], "; ", "a; b; and 1 more"),
    ],
)
def test_some_names_are_listed_and_the_rest_counted(names: list[str], separator: str, expected: str) -> None:
    assert list_some(names, 2, separator) == expected


def test_one_is_no_plural() -> None:
    assert count(1, "subject") == "1 subject"
    assert count(0, "subject") == "0 subjects"
    assert count(2, "person", "people") == "2 people"


def test_texts_of_others_stay_on_one_line_and_short() -> None:
    assert spell_out("a\x1b[2J\n\u202e") == r"a\x1b[2J\n\u202e"
    assert one_line("  two\n words.") == "two words"
    assert printable("x" * 401) == f"{'x' * 266}…{'x' * 133}"
    assert len(printable("x" * 10_000, 40)) == 40
