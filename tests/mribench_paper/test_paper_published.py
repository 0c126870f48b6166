"""Published means: read, marked, rendered in every format and read back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from mribench_paper.claims import Largest
from mribench_paper.document import published_document, table_names
from mribench_paper.published import Published, load_published, wrong_marks
from mribench_paper.tables import NUMBERS as PAPER, PaperTables
from parsing import html_reader, latex_grids, markdown_grids

from mribench.cli.results import report as command
from mribench.errors import MRIBenchError, StoreError
from mribench.interfaces.document import Document
from mribench.report.render.document import render

TABLES = ["table-1", "table-2", "table-3"]
Printed = dict[tuple[str, ...], tuple[str, str]]
"""(table, site, sequence, metric, fraction, method) → mean and SE as printed."""


def _place(row: dict[str, str]) -> tuple[str, ...]:
    fraction = f"{100 * float(row['fraction']):g} %"
    return (row["table"], row["site"], row["sequence"], row["metric"], fraction, row["method"])


def document_of(published: Published, tables: list[str]) -> Document[Published]:
    whole = published_document(published)
    return replace(whole, specs=tuple(spec for spec in whole.specs if not tables or spec.name in tables))


@pytest.fixture(scope="module")
def paper() -> Published:
    return load_published(PAPER)


@pytest.fixture(scope="module")
def printed() -> Printed:
    """The file as text, read without the code under test."""
    with PAPER.open(encoding="utf-8", newline="") as file:
        return {_place(r): (r["mean"], r["se"]) for r in csv.DictReader(file)}


def right_mark(printed: Printed, place: tuple[str, ...]) -> str:
    """Rank by the printed text; lower is better for distances only."""
    values = [float(mean) for where, (mean, _) in printed.items() if where[:5] == place[:5]]
    mine = float(printed[place][0])
    better = sum(value < mine if place[3] == "HD95" else value > mine for value in values)
    return {0: "best", 1: "second"}.get(better, "none")


def shown(printed: Printed, place: tuple[str, ...]) -> str:
    text = "{} ± {}".format(*printed[place])
    return {"best": f"<{text}>", "second": f"_{text}_"}.get(right_mark(printed, place), text)


def test_there_are_180_values_in_the_papers_shapes(printed: Printed) -> None:
    assert len(printed) == 180
    sizes = {number: sum(place[0] == number for place in printed) for number in "123"}
    assert sizes == {"1": 9 * 9, "2": 3 * 6, "3": 9 * 9}


def check(printed: Printed, number: str, head: list[list[str]], rows: list[list[str]]) -> None:
    """Compare a table that was read back with the file, cell by cell."""
    seen = 0
    for row in rows:
        site, sequence, *cells = row
        for column, cell in enumerate(cells):
            metric, fraction, method = (line[2 + column] for line in head)
            place = (number, site, sequence, metric.split()[0], fraction, method)
            assert cell == shown(printed, place), place
            seen += 1
    assert seen == sum(place[0] == number for place in printed)


def test_latex_reads_back(paper: Published, printed: Printed) -> None:
    grids = latex_grids(str(render(document_of(paper, TABLES), "latex")))
    for number, (head, rows) in zip("123", grids, strict=True):
        assert len(head) == 3
        check(printed, number, head, rows)


def test_html_reads_back(paper: Published, printed: Printed) -> None:
    reader = html_reader(str(render(document_of(paper, TABLES), "html")))
    for number, (head, rows) in zip("123", reader.grids, strict=True):
        head = [head[0], *(["", "", *line] for line in head[1:])]  # the corner is over all lines
        check(printed, number, head, rows)


def test_html_has_the_numbers_themselves(paper: Published, printed: Printed) -> None:
    reader = html_reader(str(render(document_of(paper, TABLES), "html")))
    data = [attributes for tag, attributes in reader.tags if tag == "td"]
    pairs = sorted((float(cell["data-mean"] or ""), float(cell["data-se"] or "")) for cell in data)
    assert pairs == sorted((float(mean), float(se)) for mean, se in printed.values())


def test_markdown_reads_back(paper: Published, printed: Printed) -> None:
    grids = markdown_grids(str(render(document_of(paper, TABLES), "markdown")))
    for number, ((line,), rows) in zip("123", grids, strict=True):
        parts = [re.fullmatch(r"(\S+ \S+ [↑↓]) (\S+ %) (\S+)", text) for text in line[2:]]
        head = [["", "", *(part[level] for part in parts if part)] for level in (1, 2, 3)]
        check(printed, number, head, rows)


def test_the_terminal_shows_every_value(paper: Published, printed: Printed) -> None:
    result = CliRunner().invoke(command, [str(PAPER), *(f"--table={name}" for name in TABLES)])
    assert result.exit_code == 0
    found = re.findall(r"(?:\*\*|__)?\d+\.\d ± \d+\.\d(?:\*\*|__)?", result.stdout)
    signs = {"best": "**{}**", "second": "__{}__", "none": "{}"}
    expected = [signs[right_mark(printed, p)].format(f"{m} ± {s}") for p, (m, s) in printed.items()]
    assert sorted(found) == sorted(expected)


def check_tidy(frame: pd.DataFrame, printed: Printed) -> None:
    assert len(frame) == 180
    for row in frame.to_dict("records"):
        place = (
            row["table"].removeprefix("table-"), row["test_site"], row["test_sequence"], row["metric"],
            f"{100 * row['fraction']:g} %", row["method"],
        )  # fmt: skip
        mean, se = printed[place]
        assert (row["mean"], row["se"]) == (float(mean), float(se))
        assert row["mark"] == right_mark(printed, place)


def test_csv_json_and_parquet_read_back(paper: Published, printed: Printed, tmp_path: Path) -> None:
    document = document_of(paper, TABLES)
    check_tidy(pd.read_csv(io.StringIO(str(render(document, "csv")))), printed)
    content = json.loads(str(render(document, "json")))
    check_tidy(pd.DataFrame(content["cells"]), printed)
    assert "10.1007/978-3-032-05573-6_7" in content["source"]
    path = tmp_path / "paper.parquet"
    whole = render(document, "parquet")
    assert isinstance(whole, bytes)
    path.write_bytes(whole)
    frame = pd.read_parquet(path)
    check_tidy(frame, printed)
    pd.testing.assert_frame_equal(frame, document.cells(), check_exact=True)


def test_printed_marks_that_are_wrong(paper: Published, printed: Printed) -> None:
    """All marks that the text source shows are underlines; these two are not on the second best."""
    with PAPER.open(encoding="utf-8", newline="") as file:
        marked = [r for r in csv.DictReader(file) if r["printed_mark"]]
    assert {r["printed_mark"] for r in marked} == {"underline"}
    assert len(marked) == 29
    by_hand = set()
    for r in marked:
        place = _place(r)
        if right_mark(printed, place) != "second":
            by_hand.add((*place, right_mark(printed, place)))
    assert by_hand == {
        ("1", "GST", "T1w", "DSC", "10 %", "Base", "best"),
        ("3", "HH", "PDw", "PSNR", "1 %", "SeqInv", "best"),  # 17.8 as SeqAug: they share it
    }
    columns = ["table", "site", "sequence", "metric", "method", "mark"]
    found = set(wrong_marks(paper)[columns].itertuples(index=False, name=None))
    assert found == {(*place[:4], *place[5:]) for place in by_hand}


def test_captions_say_which_marks_were_printed_otherwise(paper: Published) -> None:
    document = document_of(paper, TABLES)
    captions = [" ".join(table.caption) for table in document.tables()]
    assert "Base on GST T1w 10 % is printed as second and is best" in captions[0]
    assert "otherwise" not in captions[1]
    assert "SeqInv on HH PDw 1 % is printed as second and is best" in captions[2]
    assert all("doi:10.1007/978-3-032-05573-6_7" in caption for caption in captions)


# What the text claims


def claims(paper: Published) -> dict[str, tuple[str, str]]:
    frame = document_of(paper, ["claims"]).cells()
    return {row["row"]: (row["verdict"], row["numbers"]) for row in frame.to_dict("records")}


def gain(printed: Printed, table: str, method: str, against: str = "Base", **where: str) -> dict[str, float]:
    """Gains by hand, in tenths so that they are exact."""
    names = ("table", "site", "sequence", "metric", "fraction")
    found = {}
    for place, (mean, _) in printed.items():
        here = dict(zip(names, place, strict=False))
        if place[0] != table or place[5] != method or any(here[k] != v for k, v in where.items()):
            continue
        other = printed[(*place[:5], against)][0]
        sign = -1 if here["metric"] == "HD95" else 1
        key = f"{here['site']} {here['sequence']} {here['fraction']}"
        found[key] = sign * (round(10 * float(mean)) - round(10 * float(other))) / 10
    return found


def test_the_largest_gains_are_not_those_that_the_text_names(paper: Published, printed: Printed) -> None:
    dice, psnr = (gain(printed, table, "SeqInv", fraction="1 %") for table in "13")
    assert max(dice.values()) == dice["GST PDw 1 %"] == 8.5
    assert dice["HH T1w 1 %"] == 8.3
    assert max(psnr.values()) == psnr["HH T1w 1 %"] == 4.3
    found = claims(paper)
    dice_said, psnr_said = found["Dice at 1 %: up to +8.3"], found["PSNR at 1 %: up to +4.2 dB"]
    assert dice_said == ("understated", "largest +8.5 (GST PDw 1 %), smallest -17.7")
    assert psnr_said == ("understated", "largest +4.3 (HH T1w 1 %), smallest -0.1")
    understated = {name for name, (verdict, _) in found.items() if verdict == "understated"}
    assert understated == {"Dice at 1 %: up to +8.3", "PSNR at 1 %: up to +4.2 dB"}


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [(8.4, "understated"), (8.5, "holds"), (8.6, "does not hold"), (-20.0, "understated")],
)
def test_up_to_means_the_largest(paper: Published, stated: float, verdict: str) -> None:
    where = {"metric": ["DSC"], "fraction": [0.01]}
    content = {"kind": "largest", "method": "SeqInv", "against": "Base", "gain": stated, "where": where}
    found, said = Largest.model_validate(content).check(paper.cells)
    assert found == verdict
    assert said == "largest +8.5 (GST PDw 1 %), smallest -17.7"


@pytest.mark.parametrize(("stated", "explained"), [(1.0, True), (2.0, False)])
def test_the_caption_explains_understated_where_it_is_said(
    tmp_path: Path, stated: float, explained: bool
) -> None:
    check = f"{{kind: largest, method: A, against: B, gain: {stated}}}"
    about = f"claims: [{{name: n, section: s, says: c, check: {check}}}]"
    text = HEAD + GOOD.replace("50.0", "7.0") + GOOD.replace(",A,", ",B,").replace("50.0", "5.0")
    (table,) = document_of(load_published(written(tmp_path, text, about)), ["claims"]).tables()
    assert any(sentence.startswith("Understated") for sentence in table.caption) is explained
    assert table.caption[0].startswith(f"holds: {int(not explained)}; understated: {int(explained)}; ")


def test_what_does_not_hold(paper: Published, printed: Printed) -> None:
    found = claims(paper)
    assert {name for name, (verdict, _) in found.items() if verdict == "does not hold"} == {
        "SeqInv beats Base in tissue",
        "… most with few labels",
        "… most on other sites (PSNR)",
        "SeqAug gains in tissue",
        "… above all on T2w",
        "strongest on T1w (Dice)",
    }
    tissue = list(gain(printed, "1", "SeqInv").values())
    counts = (sum(g > 0 for g in tissue), sum(g == 0 for g in tissue), sum(g < 0 for g in tissue))
    assert counts == (11, 1, 15)
    assert found["SeqInv beats Base in tissue"][1] == "11 wins, 1 tie, 15 losses"
    few, every = (gain(printed, "1", "SeqInv", fraction=f).values() for f in ("1 %", "100 %"))
    assert found["… most with few labels"][1] == f"mean {sum(few) / 9:+.2f} against {sum(every) / 9:+.2f}"


def test_what_cannot_be_told(paper: Published) -> None:
    found = claims(paper)
    assert {name for name, (verdict, _) in found.items() if verdict == "cannot be told"} == {
        "gains are significant",
        "… because of white matter",
    }


def test_lesion_gains_are_as_stated(paper: Published, printed: Printed) -> None:
    found = claims(paper)
    assert gain(printed, "2", "SeqAug", metric="HD95")["ARC T2w 100 %"] == 22.2
    for name, value in {"T1w: -5.9": 5.9, "T2w: -22.2": 22.2, "FLAIR: -4.7": 4.7}.items():
        assert found[f"lesion {name} mm"] == ("holds", f"{value:+.1f}")


def test_a_claim_can_fail(paper: Published) -> None:
    """Worse numbers change the verdicts."""
    worse = paper.cells.copy()
    worse.loc[worse["method"].eq("SeqInv") & worse["metric"].ne("HD95"), "mean"] -= 30
    worse.loc[worse["method"].eq("SeqInv") & worse["metric"].eq("HD95"), "mean"] += 30
    found = claims(Published("worse", worse, paper.about))
    for name in ("Dice at 1 %: up to +8.3", "lesion T1w: +0.5 Dice", "PSNR of SeqAug is below SeqInv"):
        assert found[name][0] == "does not hold", name
    nothing = claims(Published("none", paper.cells[paper.cells["method"].eq("none")], paper.about))
    assert {verdict for verdict, _ in nothing.values()} == {"cannot be told"}


def test_counts_of_verdicts_in_the_readme(paper: Published) -> None:
    counts = Counter(verdict for verdict, _ in claims(paper).values())
    text = " ".join((PAPER.parent / "README.md").read_text(encoding="utf-8").split())
    assert f"Of its {counts.total()} claims {counts['holds']} hold, {counts['understated']} are under" in text
    assert f"{counts['does not hold']} do not hold, and {counts['cannot be told']} cannot be told" in text


def test_gains(paper: Published, printed: Printed) -> None:
    frame = document_of(paper, ["gains"]).cells()
    assert len(frame) == 2 * 3 + 2 * 2 + 2 * 3
    for row in frame.to_dict("records"):
        table = {"healthy_seg": "1", "stroke_seg": "2", "denoise": "3"}[row["task"]]
        found = gain(
            printed, table, row["method"], fraction=f"{100 * row['fraction']:g} %", metric=row["metric"]
        )
        values = list(found.values())
        assert row["gain_largest"] == max(values)
        assert (row["wins"], row["ties"], row["losses"]) == (
            sum(g > 0 for g in values), sum(g == 0 for g in values), sum(g < 0 for g in values),
        )  # fmt: skip
        home = [g for place, g in found.items() if place.startswith(("GST", "ARC"))]
        assert row["gain_in_domain"] == pytest.approx(sum(home) / len(home))


# Files that are not as they should be

HEAD = "table,task,site,sequence,fraction,method,metric,unit,higher_is_better,mean,se,printed_mark\n"
GOOD = "1,t,HH,T1w,0.1,A,DSC,%,true,50.0,1.0,\n"


def written(folder: Path, text: str, about: str = "") -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    if about:
        path.with_suffix(".yaml").write_text(about, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "is no file of published results: it lacks table, task"),
        (HEAD + GOOD + GOOD.replace("50.0", "fifty").replace("A", "B"), "line 3: mean is 'fifty'"),
        (HEAD + GOOD.replace("50.0", "nan"), "line 2: mean is 'nan', which is no number"),
        (HEAD + GOOD.replace("50.0", "inf"), "no number"),
        (HEAD + GOOD.replace("true", "yes"), "line 2: higher_is_better"),
        (HEAD + GOOD.replace("0.1", "10"), "above 0 and up to 1, got 10"),
        (HEAD + GOOD.replace("1.0,\n", "1.0,italic\n"), "printed_mark 'italic'"),
        (HEAD + GOOD + GOOD, "two values for HH T1w A"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StoreError, match=re.escape(message)):
        load_published(written(tmp_path, text))


OTHER = GOOD.replace(",A,", ",B,")


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "it lacks table"),
        ("\n", 1, "it lacks table"),
        (HEAD, 2, "expected a row of values, got none below the header"),
        (HEAD.replace(",", ";") + GOOD.replace(",", ";"), 1, "expected ',' between values, got ';'"),
        (HEAD.replace(",", "\t") + GOOD.replace(",", "\t"), 1, "expected ',' between values, got '\\t'"),
        (HEAD.replace("\n", ",mean\n") + GOOD.replace("\n", ",1\n"), 1, "expected one column 'mean', got 2"),
        (HEAD + GOOD + OTHER.replace("1.0", "-1.0"), 3, "expected an se of 0 or more, got -1.0"),
        (HEAD + GOOD.replace("\n", ",x\n"), 2, "expected 12 values as in the header, got 13"),
        (HEAD + GOOD.replace("50.0", "50,0"), 2, "expected 12 values as in the header, got 13"),
        (HEAD + "1,t,HH\n", 2, "expected 12 values as in the header, got 3"),
        (HEAD + GOOD + GOOD.replace(",A,", ", ,"), 3, "expected a method, got nothing"),
        (HEAD + GOOD.replace("HH", ""), 2, "expected a site, got nothing"),
        (HEAD + "," * 11 + "\n", 2, "expected a table, got nothing"),
        (HEAD + GOOD + OTHER.replace("%", "mm"), 3, "expected the unit '%' of DSC, as in line 2, got 'mm'"),
        (HEAD + GOOD + OTHER.replace("true", "false"), 3, "expected the higher_is_better 'True' of DSC"),
        (HEAD + GOOD + OTHER + GOOD, 4, "got two values for HH T1w A, the first in line 2"),
        (HEAD + GOOD + GOOD.replace("0.1", "0.10"), 3, "two values for HH T1w A"),
        (HEAD + GOOD.replace("50.0", "5_0"), 2, "mean is '5_0', which is no number"),
        (HEAD + GOOD.replace("50.0", "٥"), 2, "which is no number"),
        (HEAD + GOOD.replace("A", '"A'), 2, "not CSV"),
        (HEAD + GOOD.replace("true", "\x1b"), 2, "got '\\x1b'"),
    ],
)
def test_a_wrong_file_says_the_line_and_what_is_expected(
    tmp_path: Path, text: str, line: int, expected: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(StoreError) as error:
        load_published(path)
    assert error.value.message.startswith(f"{path}, line {line}: ")
    assert expected in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("encoding", "line", "expected"),
    [("utf-16", 1, "expected UTF-8, got UTF-16"), ("utf-16-le", 3, "expected UTF-8, got the byte 0xe9"),
     ("latin-1", 3, "expected UTF-8, got the byte 0xe9")],
)  # fmt: skip
def test_other_encodings_are_named(tmp_path: Path, encoding: str, line: int, expected: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes((HEAD + GOOD + GOOD.replace(",A,", ",é,")).encode(encoding))
    with pytest.raises(StoreError, match=re.escape(expected)) as error:
        load_published(path)
    assert f"{path}, line {line}: " in error.value.message
    assert all(c.isprintable() for c in error.value.message)


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    """A byte-order mark, line ends of Windows, TRUE, names with commas, other columns, empty lines."""
    path = tmp_path / "MINE.CSV"
    text = HEAD.replace("\n", ",note\n") + GOOD.replace("true", "TRUE").replace("A", '"A, B"').replace(
        "\n", ",x\n"
    )
    path.write_bytes(b"\xef\xbb\xbf" + (text + "\n").replace("\n", "\r\n").encode())
    found = load_published(path)
    assert found.cells["method"].tolist() == ["A, B"]
    assert found.cells["higher_is_better"].tolist() == [True]
    result = invoke(path, "--format", "markdown")
    assert result.exit_code == 0
    assert "A, B" in result.stdout


@pytest.mark.parametrize(
    ("mean", "decimals"), [("5", 0), ("5.", 0), ("5.00", 2), ("5e1", 0), ("1.5e-3", 4), ("-0.5", 1)]
)
def test_decimals_are_those_printed(tmp_path: Path, mean: str, decimals: int) -> None:
    found = load_published(written(tmp_path, HEAD + GOOD.replace("50.0", mean)))
    assert found.cells["decimals"].tolist() == [decimals]
    assert found.cells["mean"].tolist() == [float(mean)]


def test_one_metric_may_have_another_unit_in_another_table(tmp_path: Path) -> None:
    text = HEAD + GOOD + GOOD.replace("1,t", "2,t", 1).replace("%", "mm").replace("true", "false")
    assert table_names(load_published(written(tmp_path, text))) == ["table-1", "table-2"]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("sorce: x", "sorce: unknown key"),
        ("claims: [{name: a, section: b, says: c, check: {kind: larger}}]", "check"),
        ("source: [", "cannot read"),
        ("baseline: AA", "mine.yaml: baseline: mine.csv has no method 'AA'"),
    ],
)
def test_a_wrong_description_says_where(tmp_path: Path, about: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        load_published(written(tmp_path, HEAD + GOOD, about))


def test_a_csv_alone_is_enough(tmp_path: Path) -> None:
    found = load_published(written(tmp_path, HEAD + GOOD + GOOD.replace(",A,", ",B,").replace("50.0", "5")))
    assert table_names(found) == ["table-1"]
    assert found.cells["mark"].tolist() == ["best", "second"]
    assert found.cells["decimals"].tolist() == [1, 0]
    assert "**50.0 ± 1.0**" in str(render(document_of(found, []), "markdown"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "MINE.CSV").write_text("")
    with pytest.raises(StoreError, match=r"cannot read .*no\.csv: there is no such file") as error:
        load_published(tmp_path / "no.csv")
    assert error.value.hint == "in that folder: MINE.CSV"


def test_published_results_by_name(tmp_path: Path) -> None:
    tables = PaperTables()
    assert tables.published == ("paper",)
    by_name = tables.beside("paper")
    assert by_name is not None
    assert by_name.about["published"] == "paper"
    of_file = tables.beside(str(written(tmp_path, HEAD + GOOD)))
    assert of_file is not None
    assert of_file.about["published"] == "mine"
    assert tables.beside("papr") is None
    assert tables.beside("") is None
    assert tables.document(tmp_path / "mine.yaml") is None


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_shows_a_file(tmp_path: Path) -> None:
    result = invoke(PAPER, "--table", "claims", "--format", "markdown")
    assert result.exit_code == 0
    assert "holds: 12; understated: 2; does not hold: 6; cannot be told: 2." in result.stdout
    assert invoke(PAPER, "--table", "claims", "--set", "a=b").exit_code == 2
    assert "--save goes with a benchmark FILE" in invoke(PAPER, "--save").stderr
    with pytest.raises(MRIBenchError, match=r"there is no table 'x\\x1b'"):
        raise invoke(PAPER, "--table", "x\x1b").exception
    with pytest.raises(MRIBenchError, match="there is no table 'claim'"):
        raise invoke(PAPER, "--table", "claim").exception
