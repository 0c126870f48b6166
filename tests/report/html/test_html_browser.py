"""The page in a browser, headless: what it does, and that it asks nobody for anything."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from html_results import HOSTILE

CARD = "#table-leaderboard"
_WAIT_S = 10


def rows(browser: Any, card: str = CARD) -> list[str]:
    """Return the first header of each row that is shown, from top to bottom."""
    return browser.execute_script(
        "return Array.from(document.querySelectorAll(arguments[0] + ' tbody tr'))"
        ".filter((row) => !row.hidden).map((row) => row.cells[0].textContent)",
        card,
    )


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def waited(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + _WAIT_S
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def downloaded(browser: Any, name: str) -> Path:
    path = browser.downloads / name
    assert waited(lambda: path.exists() and path.stat().st_size), sorted(browser.downloads.iterdir())
    return path


def click(browser: Any, selector: str) -> None:
    press(browser, find(browser, selector))


def press(browser: Any, element: Any) -> None:
    """Click where the element stands once nothing scrolls any more."""
    where = "{block: 'center', behavior: 'instant'}"
    browser.execute_script(f"arguments[0].scrollIntoView({where})", element)
    element.click()


def sorted_by(browser: Any, column: int) -> str:
    return f"{CARD} th[data-column='{column}'] .sort"


def test_nothing_is_requested_and_nothing_is_complained_about(browser):
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert any(url.startswith("file:") for url in asked), "requests are logged"
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert sum(url.startswith("file:") for url in asked) == 1
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


def test_a_hostile_method_is_shown_as_text(browser):
    assert HOSTILE in rows(browser)
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert HOSTILE in find(browser, f"{CARD} table").text


def test_the_policy_stops_what_is_injected_later(browser):
    browser.execute_script(
        "window.ran = false; const made = document.createElement('script');"
        "made.textContent = 'window.ran = true'; document.body.append(made)"
    )
    assert browser.execute_script("return window.ran") is False
    assert waited(lambda: any("Content Security Policy" in e["message"] for e in browser.get_log("browser")))


def test_a_click_on_a_header_sorts(browser):
    before = rows(browser)
    head = find(browser, f"{CARD} th[data-column='2']")
    click(browser, sorted_by(browser, 2))
    assert head.get_attribute("aria-sort") == "ascending"
    cells = f"document.querySelectorAll('{CARD} tbody tr')"
    values = browser.execute_script(f"return Array.from({cells}, (row) => Number(row.cells[2].dataset.v))")
    assert values == sorted(values)
    assert sorted(rows(browser)) == sorted(before)
    ascending = rows(browser)
    click(browser, sorted_by(browser, 2))
    assert head.get_attribute("aria-sort") == "descending"
    assert rows(browser) == ascending[::-1]
    click(browser, sorted_by(browser, 2))
    assert head.get_attribute("aria-sort") == "none"
    assert rows(browser) == before


def test_one_column_at_a_time_is_sorted_by_and_words_are_too(browser):
    click(browser, sorted_by(browser, 2))
    click(browser, sorted_by(browser, 0))
    heads = f"document.querySelectorAll('{CARD} th[aria-sort]')"
    states = browser.execute_script(f"return Array.from({heads}, (head) => head.ariaSort)")
    assert states.count("ascending") == 1
    assert rows(browser) == sorted(rows(browser), key=str.lower)


def test_what_is_missing_comes_last_either_way(browser):
    card = "#table-budget"
    head = f"{card} th[data-column='1'] .sort"
    for _ in range(2):
        click(browser, head)
        assert set(rows(browser, card)[-2:]) == {"scratch", "identity"}


def test_keys_sort(browser):
    from selenium.webdriver.common.keys import Keys

    before = rows(browser)
    button = find(browser, sorted_by(browser, 2))
    browser.execute_script("arguments[0].focus()", button)
    assert browser.switch_to.active_element == button
    button.send_keys(Keys.ENTER)
    assert rows(browser) != before
    button.send_keys(Keys.SPACE)
    assert find(browser, f"{CARD} th[data-column='2']").get_attribute("aria-sort") == "descending"


def test_the_first_tab_skips_to_the_results(browser):
    from selenium.webdriver.common.keys import Keys

    find(browser, "body").send_keys(Keys.TAB)
    first = browser.switch_to.active_element
    assert first.text == "Skip to the results"
    assert first.location["x"] >= 0, "it can be seen while it has the focus"
    first.send_keys(Keys.ENTER)
    assert waited(lambda: browser.switch_to.active_element.get_attribute("id") == "main")


def test_tab_reaches_every_control_of_a_table(browser):
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.querySelector('#table-at-a-glance th:last-child .sort').focus()")
    reached = []
    for _ in range(10):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        now = browser.switch_to.active_element
        reached.append(now.get_attribute("class") or now.tag_name)
    assert reached[:7] == ["summary", "input", "csv", "chip", "chip", "chip", "scroll"]
    assert reached[7:] == ["sort"] * 3
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_filter(browser):
    from selenium.webdriver.common.keys import Keys

    every = rows(browser)
    field = find(browser, f"{CARD} input")
    field.send_keys("SEQ")
    assert rows(browser) == ["seqaug", "seqinv"]
    assert find(browser, f"{CARD} .count").text == f"2 of {len(every)} rows"
    field.send_keys("nothing like it")
    assert rows(browser) == []
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
    assert rows(browser) == every
    assert find(browser, f"{CARD} .count").text == f"{len(every)} rows"


def shown_methods(browser: Any, row: str) -> tuple[bool, bool, float]:
    """Whether a method is in the leaderboard, in the gaps, and how much of it is in the forest plot."""
    faded = browser.execute_script(
        "const id = [...document.querySelectorAll('.method')].find((b) => b.textContent === arguments[0])"
        ".dataset.row;"
        "const parts = document.querySelectorAll(`#figure-forest [data-row='${id}']`);"
        "return [...parts].map((part) => getComputedStyle(part).opacity)",
        row,
    )
    assert faded
    assert len(set(faded)) == 1
    return row in rows(browser), row in rows(browser, "#table-domain-gap"), float(faded[0])


def method(browser: Any, row: str) -> Any:
    return next(e for e in browser.find_elements("css selector", ".method") if e.text == row)


def test_methods_are_chosen_once_for_all_tables_and_figures(browser):
    assert shown_methods(browser, HOSTILE) == (True, True, 1.0)
    press(browser, method(browser, HOSTILE))
    assert method(browser, HOSTILE).get_attribute("aria-pressed") == "false"
    assert shown_methods(browser, HOSTILE) == (False, False, 0.1)
    assert shown_methods(browser, "seqinv") == (True, True, 1.0)
    assert find(browser, f"{CARD} .count").text == "5 of 6 rows"
    pairs = rows(browser, "#table-differences")
    assert len(pairs) == 10, "no pair of it either"
    find(browser, f"{CARD} input").send_keys("seq")
    press(browser, method(browser, "seqaug"))
    assert rows(browser) == ["seqinv"], "with the filter of the table"
    click(browser, ".methods .all")
    assert rows(browser) == ["seqaug", "seqinv"]
    assert not find(browser, ".methods .all").is_displayed()
    assert shown_methods(browser, HOSTILE)[2] == 1.0


def test_columns_of_a_hidden_method_go_and_headers_stay_over_theirs(browser):
    paper = "#table-paper-1"

    def rights(selector: str) -> list[int]:
        return browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter((e) => !e.hidden)"
            ".map((e) => Math.round(e.getBoundingClientRect().right))",
            selector,
        )

    press(browser, method(browser, "base"))
    leaf, over = f"{paper} thead tr:last-child th", f"{paper} thead tr:first-child th"
    assert rights(over)[-1] == rights(leaf)[-1] == rights(f"{paper} tbody tr:first-child td")[-1]


def test_a_faded_method_is_faded_in_the_saved_figure(browser):
    press(browser, method(browser, "seqaug"))
    click(browser, "#figure-ranks .svg")
    root = ElementTree.fromstring(downloaded(browser, "ranks.svg").read_text(encoding="utf-8"))  # noqa: S314
    assert {element.get("opacity") for element in root.iter() if element.get("class") == "faded"} == {"0.1"}


def test_the_gaps_sort_by_number_filter_and_download(browser):
    card = "#table-domain-gap"
    column = browser.execute_script(
        f"return [...document.querySelectorAll('{card} th[data-column]')]"
        ".find((head) => head.textContent.startsWith('Guys - HH')).dataset.column"
    )
    click(browser, f"{card} th[data-column='{column}'] .sort")
    values = browser.execute_script(
        f"return [...document.querySelectorAll('{card} tbody tr')]"
        ".map((row) => Number(row.cells[arguments[0]].dataset.v))",
        int(column),
    )
    assert values == sorted(values)
    assert len(set(values)) > 1
    find(browser, f"{card} input").send_keys("seqinv")
    assert rows(browser, card) == ["seqinv"]
    click(browser, f"{card} .csv")
    text = downloaded(browser, "domain-gap.csv").read_text(encoding="utf-8")
    found = list(csv.reader(io.StringIO(text, newline="")))
    place = found[0].index("tissue · 100 % labels, dice % ↑, Guys - HH [95 %]")
    assert float(found[1][place]) in values
    assert found[0][place + 1].endswith(" SE")


def test_the_ratios_sort_by_number(browser):
    card = "#table-sequence-transfer"
    head = f"{card} th[data-column='3'] .sort"
    assert find(browser, head).text.startswith("ratio")
    click(browser, head)
    texts = browser.execute_script(
        f"return [...document.querySelectorAll('{card} tbody tr')].map((row) => row.cells[3].textContent)"
    )
    numbers = [float(text.split()[0]) for text in texts]
    assert numbers == sorted(numbers)
    assert HOSTILE in rows(browser, card)


def test_tasks_can_be_hidden(browser):
    def shown() -> list[str]:
        heads = browser.find_elements("css selector", f"{CARD} thead th")
        return [head.text for head in heads if head.is_displayed()]

    assert "lesion" in shown()
    chip = f"{CARD} .chip[data-chip='1']"
    click(browser, chip)
    assert find(browser, chip).get_attribute("aria-pressed") == "false"
    assert "lesion" not in shown()
    assert "tissue" in shown()
    click(browser, chip)
    assert "lesion" in shown()


def test_the_download_has_what_is_shown(browser):
    find(browser, f"{CARD} input").send_keys("seq")
    click(browser, f"{CARD} .chip[data-chip='1']")
    click(browser, sorted_by(browser, 0))
    click(browser, sorted_by(browser, 0))
    click(browser, f"{CARD} .csv")
    path = downloaded(browser, "leaderboard.csv")
    found = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert [line[0] for line in found] == ["method", "seqinv", "seqaug"]
    beside = ("", " SE", " low", " high", " n", " n_total", " status")
    assert found[0][1:8] == [f"tissue, 10 % (n=2), dice % ↑{what}" for what in beside]
    assert not any("lesion" in name for name in found[0])
    assert {len(line) for line in found} == {len(found[0])}
    assert 0 < float(found[1][1]) < 100
    value, _, low, high, n, total, status = found[1][1:8]
    assert float(low) < float(value) < float(high)
    assert (n, total, status) == ("8", "8", "ok")


def saved(browser: Any, name: str) -> list[dict[str, str]]:
    """Download a table, and return its rows by header."""
    path = browser.downloads / f"{name}.csv"
    path.unlink(missing_ok=True)
    click(browser, f"#table-{name} .csv")
    text = downloaded(browser, path.name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_partial_result_says_so_in_a_download(browser):
    lines = {line["method"]: line for line in saved(browser, "labels-tissue")}
    assert float(lines["seqaug"]["dice % ↑, GM"]) > 0
    status = {row: line["dice % ↑, GM status"] for row, line in lines.items()}
    assert status["seqaug"] == "partial"
    assert status["base"] == "ok"
    jobs = [(line["dice % ↑, GM jobs_done"], line["dice % ↑, GM jobs_expected"]) for line in lines.values()]
    assert ("4", "6") in jobs
    assert ("", "") in jobs, "of those that are whole"
    assert not any(
        word in text for line in lines.values() for text in line.values() for word in ("best", "[")
    )


def test_a_subject_that_is_left_out_can_be_seen_in_a_download(browser):
    lines = saved(browser, "leaderboard")
    (dice,) = [name for name in lines[0] if name.startswith("lesion") and name.endswith("dice % ↑")]
    counts = {(line[f"{dice} n"], line[f"{dice} n_total"]) for line in lines}
    assert ("7", "8") in counts


def test_a_difference_has_both_ends_of_its_interval_in_a_download(browser):
    (line,) = [each for each in saved(browser, "differences") if (each["A"], each["B"]) == ("base", "seqinv")]
    name = "tissue · 100 % labels, dice % ↑, A - B [95 %]"
    low, mean, high = (float(line[f"{name}{end}"]) for end in (" low", "", " high"))
    assert low < mean < high
    assert mean - low == pytest.approx(high - mean)
    assert line[f"{name} status"] == "ok"
    assert not [column for column in line if column.endswith("p status")], "a p has no status"


def test_what_is_missing_has_a_status_and_no_text_for_a_number(browser):
    lines = saved(browser, "paper-2")
    columns = [name for name in lines[0] if name.endswith(" status")]
    gone = [(line, name) for line in lines for name in columns if line[name] in ("failed", "missing")]
    for line, name in gone:
        assert line[name.removesuffix(" status")] == ""
    texts = [text for line in lines for name, text in line.items() if name.endswith(("↑", "↓"))]
    assert "–" not in texts


def test_marks_are_heard_and_neither_seen_nor_searched(browser):
    cell = find(browser, f"{CARD} td.best")
    hidden = cell.find_element("css selector", ".visually-hidden")
    assert hidden.get_attribute("textContent").strip() == "best"
    assert hidden.size["width"] <= 1
    find(browser, f"{CARD} input").send_keys("second")
    assert rows(browser) == []


def test_tables_have_names_for_those_who_hear_them(browser):
    names = [table.accessible_name for table in browser.find_elements("css selector", "table")]
    assert len(names) > 5
    assert all(names)
    assert "Every two methods" in names


def test_a_hostile_name_survives_the_download(browser):
    click(browser, "#table-states .csv")
    path = downloaded(browser, "states.csv")
    found = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert HOSTILE in {line[0] for line in found}


def test_a_figure_is_saved_with_colours_of_its_own(browser):
    click(browser, "#figure-forest .svg")
    text = downloaded(browser, "forest.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert HOSTILE in {element.text for element in root.iter()}


def background(browser: Any) -> str:
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_the_theme_can_be_chosen_and_is_remembered(browser):
    light = background(browser)
    button = find(browser, "#theme")
    assert button.text == "Theme: auto"
    button.click()
    assert button.text == "Theme: light"
    assert background(browser) == light
    button.click()
    assert button.text == "Theme: dark"
    dark = background(browser)
    assert dark != light
    browser.refresh()
    assert background(browser) == dark
    find(browser, "#theme").click()
    assert background(browser) == light


def test_the_wish_for_dark_is_granted(browser):
    light = background(browser)
    wish = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    try:
        assert background(browser) != light
        text = browser.execute_script("return getComputedStyle(document.querySelector('figure svg')).color")
        assert text == browser.execute_script("return getComputedStyle(document.body).color")
        find(browser, "#theme").click()
        assert background(browser) == light
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_narrow_page_scrolls_in_its_tables_only(browser):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        scroll = f"const e = document.querySelector('{CARD} .scroll');"
        inner = browser.execute_script(f"{scroll} return e.scrollWidth > e.clientWidth")
        assert inner is True
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_a_script_the_results_are_there(browser, page_file):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(page_file.as_uri())
        assert "seqinv" in find(browser, f"{CARD} table").text
        assert not find(browser, "#theme").is_displayed(), "a button that does nothing is not shown"
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_notes_unfold(browser):
    details = find(browser, f"{CARD} details")
    assert details.get_attribute("open") is None
    click(browser, f"{CARD} summary")
    assert details.get_attribute("open") is not None
    assert "SE:" in details.text
