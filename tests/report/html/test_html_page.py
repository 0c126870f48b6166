"""The page as text: safe, whole, honest, and usable without a mouse."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from pathlib import Path

import pytest
from html_results import BROKEN, HOSTILE, LOST, REASON, SUBJECTS, TASKS, score, write_results
from report_tables import build, page, table_names
from support_html import WITH_ADDRESS, Page
from synthetic_results import Benchmark

from mribench.interfaces.table import Cell, Column, Row, Table, said
from mribench.report import Material, RunData, load_run
from mribench.report.looks import row_id
from mribench.report.render.html.tables import show
from mribench.results.formatting import cell_text
from mribench.statistics.difference import estimate_difference
from mribench.statistics.efficiency import label_efficiency

MOST_BYTES = 5_000_000
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
ASSETS = Path(show.__code__.co_filename).parent


@pytest.fixture(scope="module")
def parsed(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def run(results: Path) -> RunData:
    return load_run(results)


@pytest.fixture
def small(tmp_path: Path) -> RunData:
    return load_run(small_benchmark().write(tmp_path / "small"))


@pytest.fixture(scope="module")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of the small benchmark, with nothing beside its tables."""
    return Page(page(load_run(small_benchmark().write(tmp_path_factory.mktemp("small") / "small"))))


def small_benchmark(methods: tuple[str, ...] = ("base",), seeds: tuple[int, ...] = (0,)) -> Benchmark:
    tasks = {"denoise": TASKS["denoise"]}
    return Benchmark(score, tasks, methods, seeds, subjects=SUBJECTS[:3], labels=("",))


# Safe


def test_every_element_is_closed(parsed):
    assert parsed.unclosed == []


def test_a_hostile_method_is_text(parsed, html):
    assert HOSTILE in parsed.text
    assert HOSTILE not in html
    assert parsed.all("img") == []


def test_a_hostile_reason_is_text(parsed):
    assert REASON in parsed.text
    assert len(parsed.all("script")) == 1


def test_nothing_has_a_handler_or_a_style_of_its_own(parsed):
    names = {name for element in parsed.elements for name in element.attributes}
    assert [name for name in names if name == "style" or name.startswith("on")] == []
    assert [e.parents for e in parsed.all("style") if "head" not in e.parents] == []


def test_nothing_is_asked_of_a_network(parsed, html):
    attributes = [pair for element in parsed.elements for pair in element.attributes.items()]
    addresses = [value for name, value in attributes if name in WITH_ADDRESS]
    assert addresses
    assert [a for a in addresses if not a.startswith(("#", "data:"))] == []
    assert set(re.findall(r"\b(?:https?|wss?|ftp)://[^\s\"'<>)]*", html)) <= {SVG_NAMESPACE}
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    (script,) = parsed.all("script")
    for call in (
        "fetch",
        "XMLHttp",
        "sendBeacon",
        "WebSocket",
        "EventSource",
        "eval",
        "innerHTML",
        "import(",
    ):
        assert call not in script.text


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(parsed: Page) -> dict[str, list[str]]:
    (policy,) = [e for e in parsed.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    parts = [part.split() for part in policy.attributes["content"].split(";")]
    return {name: values for name, *values in parts}


def test_the_policy_allows_the_pages_own_style_and_script_only(parsed):
    found = directives(parsed)
    hashes = {name: [sha256(element.text) for element in parsed.all(name)] for name in ("style", "script")}
    assert found == {
        "default-src": ["'none'"],
        "style-src": hashes["style"],
        "script-src": hashes["script"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_the_policy_stands_before_what_it_is_about(html):
    assert html.index("Content-Security-Policy") < min(map(html.index, ("<style", "<script", "<link")))


def test_the_page_is_small_enough_to_send(html):
    assert len(html.encode()) <= MOST_BYTES


def test_no_host_and_no_folder_is_given_away(html, results):
    assert "secret-host" not in html
    assert str(results) not in html


# Whole


def test_every_table_and_cell_is_there(run, parsed):
    for name in table_names(run):
        for table in build(run, name):
            if "Nothing is planned" in "".join(table.caption):
                continue
            saved_as = re.sub(r"[^A-Za-z0-9._-]+", "-", table.name)
            (card,) = parsed.all("div", class_="table-card", data_name=saved_as)
            assert table.title in card.text
            texts = [e.text for e in parsed.all("span", card, class_="v")]
            assert texts == [cell_text(cell) for cells in table.cells for cell in cells], name


def test_tables_asked_for_by_name(small):
    only = Page(page(small, ["budget"]))
    names = {e.attributes["data-name"] for e in only.all("div", class_="table-card")}
    assert "budget" in names
    assert "leaderboard" not in names


def test_a_table_of_ones_own_is_shown_too(small):
    cells = ((Cell(0.5, 0.1, 3, 3, status="ok"),),)
    mine = Table("mine", "<b>Mine</b>", ("row",), (Row(("a",)),), (Column(("b",)),), cells, said("Said."))
    found = Page(page(small, [mine]))
    (card,) = found.all("div", id="table-mine")
    assert "<b>Mine</b>" in card.text
    assert "0.5 ± 0.1" in card.text
    assert not found.all("div", id="table-leaderboard")


def test_what_does_not_apply_is_left_out_and_said(small_page):
    found = small_page
    parts = {e.attributes["id"] for e in found.all("section")}
    assert {"results", "domains", "subjects", "provenance"} <= parts
    assert not {"embeddings", "examples", "efficiency", "views"} & parts
    assert not found.all("figure", data_name="transfer-1"), "one sequence is no matrix"
    (said,) = found.all("ul", class_="missing")
    for text in (
        "Embeddings: the benchmark measures no",
        "Examples: no job kept",
        "Label efficiency: no task",
    ):
        assert text in said.text


def test_every_part_of_a_whole_run_is_there(parsed):
    parts = [e.attributes["id"] for e in parsed.all("section")]
    assert parts == [
        "results", "differences", "efficiency", "domains", "transfer", "subjects", "labels", "embeddings",
        "examples", "views", "training", "failures", "provenance",
    ]  # fmt: skip
    figures = {e.attributes["data-name"] for e in parsed.all("figure")}
    assert figures == {
        "forest", "ranks", "label-efficiency", "domain-gap", "transfer-1", "transfer-2", "transfer-3",
        "critical-difference", "subjects", "embeddings-1-site", "embeddings-1-sequence",
        "examples-1", "examples-2", "examples-3",
        "pretraining", "adaptation", "views",
    }  # fmt: skip


def test_each_tissue_has_its_own_column(parsed):
    (card,) = parsed.all("div", id="table-labels-tissue")
    assert all(label in card.text for label in ("GM", "WM", "CSF"))


def test_every_two_methods_are_compared_as_the_statistics_do(parsed, run):
    material = Material(run)
    groups = dict(iter(material.of_panel(material.panels[0]).groupby("row")))
    found = estimate_difference(groups["base"], groups["seqinv"])
    (card,) = parsed.all("div", id="table-differences")
    lines = [line for line in parsed.all("tr", card) if line.text.strip().startswith("baseseqinv")]
    shown, p, d_z, above = [e.text for e in parsed.all("span", lines[0], class_="v")][:4]
    low, mean, high = (100 * value for value in (found.low, found.difference, found.high))
    assert shown == f"{mean:+.1f} [{low:.1f}, {high:.1f}]"
    assert p == ("<0.001" if found.p < 0.001 else f"{found.p:.3f}")
    assert d_z == f"{found.d_z:.2f}"
    assert above == f"{100 * found.p_above:.0f}"
    rows = len(set(material.values["row"]))
    assert len(parsed.all("tr", *parsed.all("tbody", card))) == rows * (rows - 1) // 2


def test_areas_are_those_of_the_statistics(parsed, run):
    values = Material(run).values
    base = values[values["row"].eq("base") & values["task"].eq("tissue")]
    area = label_efficiency(base)
    (card,) = parsed.all("div", id="table-label-efficiency")
    assert f"{100 * area.area:.1f} ± {100 * area.se:.1f}" in card.text
    assert "identity" not in card.text


def test_what_the_results_do_not_support_is_said_where_one_looks_for_it(parsed, small_page):
    (part,) = parsed.all("section", id="transfer")
    assert "No invariance ratio of lesion, denoise: fewer than two sequences" in part.text
    (part,) = parsed.all("section", id="domains")
    assert "No gap of lesion: tested on one site." in part.text
    assert parsed.all("div", part, id="table-domain-gap")
    (part,) = small_page.all("section", id="subjects")
    assert "No" not in part.text.split("Per-subject")[0]


def test_no_critical_differences_is_said_where_one_looks_for_them(tmp_path):
    made = small_benchmark(("base", "seqaug", "seqinv"), (0, 1))
    (part,) = Page(page(load_run(made.write(tmp_path)))).all("section", id="differences")
    assert "3 blocks, at least 5 are needed" in part.text
    assert part.text.count("at least 5 are needed") == 1


def test_the_page_begins_with_an_overview(parsed):
    (part,) = parsed.all("section", id="results")
    first = parsed.all("div", part, class_="table-card")[0]
    assert first.attributes["id"] == "table-at-a-glance"
    assert "seqinv" in first.text


def test_methods_can_be_chosen_by_a_button_each(parsed, run):
    buttons = parsed.all("button", class_="method")
    assert [button.text for button in buttons] == Material(run).rows
    assert [button.attributes["data-row"] for button in buttons] == [
        row_id(row) for row in Material(run).rows
    ]
    (line,) = [e for e in parsed.all("tr", *parsed.all("div", id="table-leaderboard")) if HOSTILE in e.text]
    assert line.attributes["data-rows"] == row_id(HOSTILE)
    pairs = parsed.all("tr", *parsed.all("div", id="table-differences"))
    both = [set(e.attributes.get("data-rows", "").split()) for e in pairs]
    assert {row_id("base"), row_id("seqinv")} in both


def test_columns_of_methods_are_known_with_their_footnotes():
    cells = ((Cell(0.5, status="ok"), Cell(0.6, status="ok")),)
    columns = (Column(("dice", "a†‡")), Column(("dice", "b")))
    mine = show(Table("t", "T", ("site",), (Row(("a",)),), columns, cells, ()), methods=["a", "c"])
    assert [head.row for head in mine.heads[-1]][-2:] == [row_id("a"), ""]
    assert mine.lines[0].rows == (), "a site of that name is no method"


def test_a_single_method_has_nothing_to_choose(small_page):
    assert small_page.all("button", class_="method") == []


def test_the_contact_sheet_in_the_report_folder_is_carried_along(small, tmp_path):
    sheet = tmp_path / "small" / "report" / "views.png"
    sheet.parent.mkdir()
    sheet.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    (image,) = Page(page(small, directory=tmp_path / "small")).all("img")
    assert base64.b64decode(image.attributes["src"].partition(",")[2]) == sheet.read_bytes()
    assert image.attributes["alt"]


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"\x89PNG\r\n" + bytes(1_500_000)])
def test_what_is_no_small_picture_is_left_out(small, tmp_path, content):
    sheet = tmp_path / "small" / "report" / "views.png"
    sheet.parent.mkdir()
    sheet.write_bytes(content)
    assert Page(page(small, directory=tmp_path / "small")).all("img") == []


def test_the_same_results_make_the_same_page(small, tmp_path):
    assert page(small, directory=tmp_path / "small") == page(small, directory=tmp_path / "small")


def test_nothing_done_is_a_page_too(tmp_path):
    made = small_benchmark()
    made.states = dict.fromkeys((job["id"] for job in made.jobs()), "todo")
    found = Page(page(load_run(made.write(tmp_path)), directory=tmp_path))
    assert found.all("svg") == []
    assert "0 / 2" in found.text
    assert "missing" in found.text


# Honest


def test_counts_are_shown(parsed, run):
    facts = {e.text.strip() for e in parsed.all("dd")}
    done, planned = int(run.cells["state"].eq("done").sum()), len(run.cells)
    assert f"{done} / {planned}" in facts
    assert str(int(run.cells["state"].eq("failed").sum())) in facts
    lost = parsed.all("td", *parsed.all("div", id="table-leaderboard"), data_n="7")
    assert lost, "a subject that failed under one seed is left out"
    assert all("[7/8]" in e.text for e in lost)


def test_failures_are_listed_with_what_they_cost(parsed, run):
    (card,) = parsed.all("div", id="table-failed-jobs")
    assert BROKEN in card.text
    assert LOST in card.text
    blamed = run.cells["blame"].value_counts()
    assert str(blamed[BROKEN]) in re.findall(r"\d+", card.text)
    (scores,) = parsed.all("div", id="table-odd-scores")
    assert SUBJECTS[0] in scores.text


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((0,), "One seed: valid for these checkpoints only."),
        ((0, 1, 2), "3 seeds: too few seeds to tell"),
    ],
)
def test_below_five_seeds_nothing_is_claimed(tmp_path, seeds, said):
    made = small_benchmark(("base", "seqinv"), seeds)
    found = Page(page(load_run(made.write(tmp_path)), ["leaderboard"]))
    (claim,) = found.all("p", class_="claim")
    assert said in claim.text
    captions = [e.text for e in found.all("figcaption")]
    assert captions
    assert [text for text in captions if said not in text] == []
    (notes,) = found.all("div", id="table-leaderboard-notes")
    assert said in notes.text


def test_provenance(parsed, run, results):
    (facts,) = parsed.all("dl", class_="provenance")
    (plan,) = (results / "plans").glob("*.json")
    for text in ("synthetic", "corrected", "c0ffee", "3.11.7", "Linux", plan.stem, "012"):
        assert text in facts.text
    (defects,) = parsed.all("ul", class_="defects")
    assert "made-up-defect (corrected): a defect made up for a test" in defects.text
    commands = [e.text for e in parsed.all("pre")]
    assert "mribench run synthetic.yaml" in commands
    assert "mribench report synthetic.yaml --format html --output report.html" in commands
    assert json.loads((results / "plans" / plan.name).read_text())["config"]["benchmark"] in commands[-1]


# Usable by all


def test_ids_are_unique_and_references_find_them(parsed):
    ids = [e.attributes["id"] for e in parsed.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in parsed.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)
        for name, value in element.attributes.items():
            for target in re.findall(r"url\(#([^)]+)\)", value):
                assert target in ids
            if name == "href" and value.startswith("#"):
                assert value[1:] in ids


def test_figures_have_words(parsed):
    drawings = parsed.all("svg")
    assert len(drawings) == len(parsed.all("figure"))
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        assert len(drawing.attributes["aria-label"]) > 60
    assert all(e.text.strip() for e in parsed.all("figcaption"))


def test_headers_say_what_they_are_over(parsed):
    headers = parsed.all("th")
    assert {e.attributes.get("scope") for e in headers} == {"col", "colgroup", "row"}
    sorted_by = [e for e in headers if "aria-sort" in e.attributes]
    assert {e.attributes["aria-sort"] for e in sorted_by} == {"none"}
    assert len(sorted_by) == len(parsed.all("button", class_="sort"))
    for button in parsed.all("button"):
        assert button.text.strip() or button.attributes.get("aria-label")


def test_each_column_can_be_sorted_by_once(parsed):
    for table in parsed.all("table"):
        given = [e.attributes.get("data-column") for e in parsed.all("th", table)]
        columns = [int(column) for column in given if column]
        assert sorted(columns) == list(range(len(columns)))
        for line in parsed.all("tr", *parsed.all("tbody", table)):
            cells = [e for e in parsed.elements if e.tag in ("td", "th") and line in e.ancestors]
            assert len(cells) == len(columns)


def test_headings_skip_no_level(parsed):
    levels = [int(e.tag[1]) for e in parsed.elements if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_the_first_link_skips_to_the_results(parsed):
    first = next(e for e in parsed.elements if e.tag in ("a", "button", "input"))
    assert first.attributes["href"] == "#main"
    (main,) = parsed.all("main")
    assert main.attributes["id"] == "main"


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> dict[str, dict[str, str]]:
    style = (ASSETS / "style.css").read_text()
    blocks = re.findall(r"(:root[^{]*)\{([^}]*)\}", style)
    return {name.strip(): dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", body)) for name, body in blocks}


def test_contrast_is_known_to_be_computed():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", themes())
def test_text_can_be_read(theme):
    colours = themes()[theme]
    pairs = [
        *(("--text", on) for on in ("--bg", "--card", "--best", "--soft")),
        *(("--muted", on) for on in ("--bg", "--card", "--best")),
        *(("--accent", on) for on in ("--card", "--soft")),
        ("--bad", "--card"),
        ("--warn-text", "--warn-bg"),
    ]
    low = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in low.items() if value < 4.5} == {}
    drawn = [name for name in colours if re.match(r"--[cg]\d", name)]
    lines = {name: contrast(colours[name], colours["--card"]) for name in drawn}
    assert {name: value for name, value in lines.items() if value < 2} == {}


def test_the_dark_theme_is_the_same_by_wish_and_by_button():
    light, by_button, by_wish = themes().values()
    assert by_button == by_wish
    assert light.keys() == by_button.keys()


def test_the_results_can_be_written_for_other_tests(tmp_path):
    states = load_run(write_results(tmp_path, ("base",), (0,), {})).cells["state"]
    assert set(states) == {"done"}
