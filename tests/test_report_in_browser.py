"""The report as a reader meets it: sorted, filtered, clicked, on any screen, in both themes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from etl_jobs.report import Group, ReportData, render
from etl_jobs.report.data import Pair
from etl_jobs.report.names import clean
from etl_jobs.report.numerals import fixed
from tests import browser
from tests.test_report import HOSTILE, Outline, report, with_differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    executable = browser.find()
    if executable is None:
        pytest.skip("no Chromium or Chrome on PATH: the report was not opened in a browser")
    with browser.launched(executable, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def tab(chromium: browser.Page) -> Iterator[browser.Page]:
    chromium.problems.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.problems == []
    assert [url for url in chromium.requests if not url.startswith(("file:", "data:"))] == []
    chromium.resize(1400, 900)
    chromium.prefer("light")


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(data: ReportData) -> Path:
        path = tmp_path / "report.html"
        path.write_text(render(data), encoding="utf-8")
        return path

    return write


def ids(tab: browser.Page) -> list[str]:
    return tab.run(
        "(() => { const ids = JSON.parse(document.getElementById('data').textContent).items.id;"
        " return [...document.querySelectorAll('#table tbody tr[data-item]')]"
        ".map((row) => ids[row.dataset.item]); })()"
    )


def bank() -> ReportData:
    flags: list[tuple[str, ...]] = [()] * 60
    flags[3:6] = [("low_discrimination",)] * 3
    flags[6:8] = [("negative_discrimination", "low_discrimination")] * 2
    flags[20] = ("too_few_answers", "low_discrimination")
    made = report(60, flags=flags)
    made.difficulty[10] = np.nan
    return made


@pytest.mark.parametrize("lower", [None, np.linspace(0, 0.4, 9)], ids=["2PL", "3PL"])
def test_the_script_prints_the_same_rows_as_the_server(
    tab: browser.Page, write: Any, lower: Any
) -> None:
    values = np.array([0.125, -0.125, -0.004, np.nan, -1234.5678, 0.005, 1e6, 2.675, -3.0])
    data = report(9, difficulty=values, difficulty_se=np.abs(values), share_correct=values % 1)
    data = replace(data, lower=lower, outfit=lower, anchored=values > 1)
    path = write(data)

    tab.open(path)

    shown = ["".join(row.split()) for row in tab.text("#table tbody tr")]
    assert shown == Outline(path.read_text(encoding="utf-8")).rows()[1:10]


def test_what_is_said_of_groups_and_pairs_is_the_same_with_the_script(
    tab: browser.Page, write: Any
) -> None:
    flags = [("large_dif", "local_dependence"), ("local_dependence",), ("moderate_dif",), (), ()]
    path = write(with_differences(flags=flags, pairs=[Pair(first=1, second=0, q3=0.3, students=9)]))

    tab.open(path, "#item=q0")

    shown = ["".join(row.split()) for row in tab.text("#table tbody tr")]
    assert shown == Outline(path.read_text(encoding="utf-8")).rows()[1:6]
    assert tab.text("#item .verdict b") == ["Harder for <b>", "Hangs together with Question 1"]
    assert "DIF <b>" in tab.text("#item dt")
    assert "\N{MINUS SIGN}2.50 ± 0.25" in tab.text("#item dd")


def test_a_click_on_a_header_sorts_and_a_second_turns_it_round(
    tab: browser.Page, write: Any
) -> None:
    data = bank()
    tab.open(write(data), "#rows=100")
    order = [data.item_id[item] for item in np.argsort(data.difficulty)]

    tab.click("th.difficulty button")
    falling = ids(tab)
    tab.click("th.difficulty button")
    rising = ids(tab)

    # The one without a difficulty comes last both ways.
    assert falling == [*order[:-1][::-1], order[-1]]
    assert rising == order
    assert tab.run("document.querySelector('th.difficulty').ariaSort") == "ascending"
    assert tab.run("document.querySelectorAll('th[aria-sort]').length") == 1
    assert tab.run("location.hash") == "#sort=difficulty&rows=100"


def test_headers_sort_from_the_keyboard(tab: browser.Page, write: Any) -> None:
    tab.open(write(bank()))

    tab.run("document.querySelector('th.name button').focus()")
    tab.press("Enter")

    # Digits inside names count as numbers: q8 comes before q10.
    assert tab.text("#table tbody .open") == [f"q{place}" for place in range(0, 50, 2)]
    assert tab.run("document.querySelector('th.name').ariaSort") == "ascending"


def test_the_fragment_restores_what_was_seen(tab: browser.Page, write: Any) -> None:
    data = bank()
    order = [data.item_id[item] for item in np.argsort(-data.discrimination, kind="stable")]

    tab.open(write(data), "#sort=-discrimination&page=2&item=q7&theme=dark")

    assert ids(tab) == order[25:50]
    assert tab.text("#item h3") == ["Question 7"]
    assert tab.text("#page") == ["2 of 3"]
    assert tab.run("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_search_and_chips_narrow_the_list_down(tab: browser.Page, write: Any) -> None:
    tab.open(write(bank()))

    tab.click(".chip[data-flag=low_discrimination]")
    flagged = ids(tab)
    tab.click(".chip[data-flag=too_few_answers]")
    either = ids(tab)
    tab.click("#search")
    for key in "QUESTION 5":
        tab.press(key)
    found = ids(tab)

    assert flagged == ["q3", "q4", "q5", "q6", "q7"]
    assert either == [*flagged, "q20"]
    assert found == ["q5"]
    assert tab.text("#found") == ["1 of 60 items"]


def test_a_reason_in_the_summary_leads_to_its_items(tab: browser.Page, write: Any) -> None:
    tab.open(write(bank()))

    tab.click(".reasons a[href*=negative]")
    # A link inside the page is followed a moment later.
    tab.wait("document.querySelector('.chip[data-flag^=negative]').ariaPressed === 'true'")

    assert tab.text(".reasons li:first-child b") == ["2 items"]
    assert ids(tab) == ["q6", "q7"]


def test_a_chosen_item_shows_its_curve_with_what_was_observed(
    tab: browser.Page, write: Any
) -> None:
    data = bank()
    tab.open(write(data))

    tab.click("#table tbody tr:nth-child(4)")
    chosen = tab.text("#item h3")
    tab.press("ArrowDown")

    assert chosen == ["Question 3"]
    assert tab.text("#item h3") == ["q4"]
    assert tab.run("document.activeElement.textContent") == "q4"
    packed = Outline(render(data)).data()["items"]["observed"][4]
    assert len(tab.text("#item circle.seen")) == (len(packed) - 1) // 2
    assert tab.run("document.querySelectorAll('#item path.curve').length") == 2
    assert (
        tab.text("#item dd")[2] == f"{fixed(data.difficulty[4])} ± {fixed(data.difficulty_se[4])}"
    )


def test_the_drawn_curve_is_the_model_s(tab: browser.Page, write: Any) -> None:
    data = report(3, difficulty=np.array([0.0, 1.0, -1.0]))

    tab.open(write(data), "#item=q0")

    heights, top, height = tab.run(
        "(() => { const d = document.querySelectorAll('#item path.curve')[1].getAttribute('d');"
        " const box = document.querySelector('#item rect.band').getBBox();"
        " return [d.split(/[ML]/).slice(1).map((p) => +p.split(' ')[1]), box.y, box.height]; })()"
    )
    drawn = 1 - (np.array(heights) - top) / height
    expected = 1 / (1 + np.exp(-data.discrimination[0] * np.linspace(-4, 4, 121)))
    np.testing.assert_allclose(drawn, expected, atol=0.1 / height)


def full_bank() -> ReportData:
    """A bank whose calibration told all that a report can show."""
    made = bank()
    draw = np.random.default_rng(4)
    return replace(
        made,
        model="3PL",
        lower=draw.uniform(0, 0.3, 60),
        lower_se=np.full(60, 0.05),
        infit=draw.normal(1, 0.1, 60),
        outfit=draw.normal(1, 0.2, 60),
        fit_p=draw.uniform(0, 1, 60),
        anchored=np.arange(60) % 4 == 1,
        flags=[("misfit", "large_dif") if place == 9 else f for place, f in enumerate(made.flags)],
        ability_mean=0.4,
        ability_deviation=1.1,
        groups=[Group(name="north", students=1000, mean=0.4, deviation=1.1)],
    )


def test_a_guessing_parameter_lifts_the_curve_and_its_information_is_lord_s(
    tab: browser.Page, write: Any
) -> None:
    data = full_bank()

    tab.open(write(data), "#item=q0")

    theta = np.array([-3.0, 0.0, 2.0])
    told = tab.run("[-3, 0, 2].map((theta) => [probability(0, theta), information(0, theta)])")
    a, b, c = data.discrimination[0], data.difficulty[0], data.lower[0]
    share = c + (1 - c) / (1 + np.exp(-a * (theta - b)))
    lord = a**2 * (share - c) ** 2 * (1 - share) / ((1 - c) ** 2 * share)
    np.testing.assert_allclose(told, np.stack((share, lord), axis=1), rtol=1e-3)
    assert tab.text("#item dt")[4:] == ["Guess c", "Infit", "Outfit"]
    assert tab.run("document.querySelectorAll('#item line.guide').length") >= 1


def probability_at(data: ReportData, item: int, theta: float) -> float:
    a, b, c = data.discrimination[item], data.difficulty[item], data.lower[item]
    return float(c + (1 - c) / (1 + np.exp(-a * (theta - b))))


def test_fit_columns_sort_and_anchors_are_found(tab: browser.Page, write: Any) -> None:
    data = full_bank()
    tab.open(write(data), "#rows=100")

    tab.click("th.outfit button")
    noisiest = ids(tab)
    tab.click(".chip[data-flag=anchor]")
    anchors, tags = ids(tab), tab.text("#table .tag.anchor")

    average = probability_at(data, 9, data.ability_mean)
    tab.run("location.hash = '#item=q9'")
    tab.wait("document.querySelector('#item h3').textContent === 'Question 9'")
    assert tab.text("#item p.words")[0].startswith(
        f"Of students with average ability, {round(100 * average)}% are expected"
    )
    assert noisiest == [f"q{item}" for item in np.argsort(-data.outfit, kind="stable")]
    assert sorted(anchors) == sorted(f"q{item}" for item in range(1, 60, 4))
    assert len(tags) == 15


def test_the_whiskers_are_wilson_s_intervals(tab: browser.Page, write: Any) -> None:
    data = report(3)

    tab.open(write(data), "#item=q0")

    whiskers, top, height = tab.run(
        "(() => { const box = document.querySelector('#item rect.band').getBBox();"
        " return [[...document.querySelectorAll('#item .whisker')]"
        ".map((w) => [+w.getAttribute('y1'), +w.getAttribute('y2')]), box.y, box.height]; })()"
    )
    packed = Outline(render(data)).data()["items"]["observed"][0]
    bands = (len(packed) - 1) // 2
    z = 1.96
    for drawn, n, permille in zip(
        whiskers, packed[1 : 1 + bands], packed[1 + bands :], strict=True
    ):
        # By definition: the shares whose own standard error just reaches the observed one.
        s = permille / 1000
        ends = np.roots([1 + z**2 / n, -2 * s - z**2 / n, s**2])
        assert sorted(1 - (np.array(drawn) - top) / height) == pytest.approx(sorted(ends), abs=1e-6)


def test_hostile_names_are_only_text_in_the_browser(tab: browser.Page, write: Any) -> None:
    data = report(len(HOSTILE), item_id=HOSTILE, item_name=HOSTILE, subject=HOSTILE)
    tab.open(write(data))

    for _ in HOSTILE:
        tab.run("document.querySelector('#item .step[aria-label^=Next]').click()")

    assert tab.run("document.scripts.length") == 2
    assert sorted(tab.text("#table .open")) == sorted(map(clean, HOSTILE))
    assert tab.text("#item h3") == [clean(HOSTILE[-1])]
    assert tab.run("document.documentElement.scrollWidth") <= 1400


def test_seventeen_thousand_items_keep_the_page_small(tab: browser.Page, write: Any) -> None:
    data = report(17_000)

    tab.open(write(data), "#sort=name")

    assert len(ids(tab)) == 25
    assert tab.text("#page") == ["1 of 680"]
    assert tab.run("document.querySelectorAll('*').length") < 3000
    tab.click("#after")
    assert tab.text("#page") == ["2 of 680"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(tab: browser.Page, write: Any, scheme: str) -> None:
    tab.prefer(scheme)
    tab.open(write(bank()), "#item=q6")

    colours = tab.run(
        "['.told p', '.reasons li span', '.lead strong', '.tag', '#item .words', 'figcaption',"
        " '#item .verdict', 'thead th.number button'].map((s) => {"
        " const e = document.querySelector(s); return getComputedStyle(e).color; })"
    )
    paper = tab.run("getComputedStyle(document.body).backgroundColor")

    def light(colour: str) -> float:
        parts = [float(c) / 255 for c in colour.strip("rgba()").split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722])) + 0.05

    assert (light(paper) > 0.5) == (scheme == "light")
    for colour in colours:
        high, low = sorted((light(colour), light(paper)), reverse=True)
        assert high / low > 4.5, colour


@pytest.mark.parametrize("make", [bank, full_bank], ids=["usual", "everything told"])
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1400])
def test_no_screen_needs_to_scroll_sideways(
    tab: browser.Page, write: Any, width: int, make: Callable[[], ReportData]
) -> None:
    tab.resize(width, 800)

    tab.open(write(make()), "#item=q6")

    assert tab.run("document.documentElement.scrollWidth") <= width


def test_without_javascript_there_is_nothing_to_press(tab: browser.Page, write: Any) -> None:
    tab.scripts("off")
    tab.open(write(bank()))

    pressable = tab.run(
        "[...document.querySelectorAll('#controls, #theme, #pager, #item')]"
        ".filter((e) => e.checkVisibility()).length"
    )

    tab.scripts("on")
    assert pressable == 0
    assert len(tab.text("#table tbody tr")) == 25
    assert tab.run("document.querySelector('noscript p').checkVisibility()")
