"""The report: what it says, that nothing can break out of it, and that it works in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_jobs.irt.flags import FLAGS
from etl_jobs.report import ReportData, render
from etl_jobs.report.flags import KNOWN
from etl_jobs.report.names import clean
from etl_jobs.report.numerals import counted, fixed, percent, whole
from etl_jobs.report.svg import Scale, element, spread
from tests import browser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VOID = {"meta", "link", "input", "br", "col"}


def report(items: int = 5, students: int = 1000, **changes: Any) -> ReportData:
    """Return the report of a test whose students answer as its model says."""
    random = np.random.default_rng(items)
    theta = np.linspace(-6, 6, 61)
    weight = np.exp(-(theta**2) / 2) / np.exp(-(theta**2) / 2).sum()
    discrimination = random.uniform(0.5, 1.8, items)
    difficulty = random.normal(-0.5, 1, items)
    answers = students - np.arange(items) % (students // 2)
    share = 1 / (1 + np.exp(-discrimination[:, None] * (theta - difficulty[:, None])))
    answers_at = answers[:, None] * weight
    information = (discrimination[:, None] ** 2 * share * (1 - share)).sum(axis=0)
    edges = np.linspace(-4, 4, 33)
    made = ReportData(
        title="Spring test",
        as_of=date(2024, 3, 1),
        model="2PL",
        converged=True,
        students=students,
        item_id=[f"q{place}" for place in range(items)],
        item_name=[f"Question {place}" if place % 2 else None for place in range(items)],
        subject=[("Algebra", "Geometry", None)[place % 3] for place in range(items)],
        answers=answers,
        share_correct=(answers_at * share).sum(axis=1) / answers,
        discrimination=discrimination,
        discrimination_se=2 / np.sqrt(answers),
        difficulty=difficulty,
        difficulty_se=3 / np.sqrt(answers),
        flags=[()] * items,
        theta=theta,
        answers_at=answers_at,
        right_at=answers_at * share,
        ability_edges=edges,
        ability_counts=np.histogram(random.normal(0, 0.9, students), edges)[0],
        information=information,
        standard_error=1 / np.sqrt(information),
        facts={
            "Log-likelihood": -2466.6534,
            "Iterations": np.int64(14),
            "Score": 0.003,
            "Attempt that counts": "first",
        },
        left_out={"Repeated": 1152, "No item id": 3},
    )
    return replace(made, **changes)


class Outline(HTMLParser):
    """A page as a browser would build it: its elements, their attributes and their text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "elements left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.text[tag][-1] += data

    def rows(self) -> list[str]:
        """Return the text of every row, without the white space of the file."""
        return ["".join(row.split()) for row in self.text["tr"]]

    def data(self) -> Any:
        """Return what the script gets to read."""
        return json.loads(self.text["script"][0])


# What it says.


def test_the_summary_says_who_answered_what_and_what_needs_a_look() -> None:
    flags = [("negative_discrimination", "low_discrimination"), ("all_wrong",), (), (), ()]

    page = Outline(render(report(flags=flags)))

    lead = page.text["p"][1]
    assert lead.startswith("1,000 students gave 4,990 answers to 5 items.")
    assert lead.endswith("2 of 5 items need a look.")
    assert [reason.split("\n")[0] for reason in page.text["li"]] == [
        "1 item Negative discrimination",
        "1 item Low discrimination",
        "1 item Everyone wrong",
    ]


def test_an_item_with_too_few_answers_waits_and_is_not_accused() -> None:
    flags = [("too_few_answers", "negative_discrimination"), ("low_discrimination",), (), (), ()]

    page = Outline(render(report(flags=flags)))

    assert "1 of 4 items needs a look." in page.text["main"][0]
    assert "1 item has too few answers to be judged yet" in page.text["main"][0]
    assert page.text["li"][0].startswith("1 item Low discrimination")
    assert [flag["name"] for flag in page.data()["flags"]] == [
        "low_discrimination",
        "too_few_answers",
    ]


def test_a_test_without_flags_is_said_to_be_fine() -> None:
    page = Outline(render(report()))

    assert "No item stands out: none needs a look." in page.text["main"][0]


def test_every_flag_that_a_calibration_raises_is_explained() -> None:
    assert set(KNOWN) >= set(FLAGS)


def test_a_flag_nobody_explained_is_shown_by_its_own_name() -> None:
    page = Outline(render(report(flags=[("odd_wording",), (), (), (), ()])))

    assert page.text["li"][0].startswith("1 item Odd wording")


def test_a_calibration_that_did_not_converge_is_a_warning_above_everything() -> None:
    page = Outline(render(report(converged=False)))

    assert page.text["section"][0].split("\n")[2].strip() == (
        "The calibration did not converge. Do not use these item parameters."
    )


def test_the_run_is_told_with_its_facts_and_the_rows_left_out() -> None:
    page = Outline(render(report()))

    assert dict(zip(page.text["dt"], page.text["dd"], strict=True)).items() >= {
        ("Students", "1,000"),
        ("Answers", "4,990"),
        ("Converged", "yes"),
        ("Log-likelihood", "\N{MINUS SIGN}2,466.653"),
        ("Iterations", "14"),
        ("Score", "0.003"),
        ("Attempt that counts", "first"),
    }
    assert page.rows()[-2:] == ["Repeated1,152", "Noitemid3"]


def test_precision_for_a_bank_is_also_told_for_a_student_with_few_answers() -> None:
    # Each of 1,000 students answers 10 of 40 items, so the error is twice that of all 40.
    told = report(40, answers=np.full(40, 250), standard_error=np.full(61, 0.25))

    page = Outline(render(told))

    assert (
        "0.25 for someone who answers every item, and about 0.50 for someone with the average "
        "number of answers, 10."
    ) in page.text["main"][0]


def test_without_the_script_the_page_has_its_drawings_and_the_most_answered_items() -> None:
    page = Outline(render(report(400)))

    labels = [dict(at).get("aria-label") or "" for tag, at in page.elements if tag == "svg"]
    assert [label.split()[0] for label in labels if label] == ["Wright", "Test", "Difficulty"]
    rows = [row for row in page.rows() if "%" in row]
    assert len(rows) == 25
    assert rows[0].startswith("q0Algebra1,000")
    assert rows[1].startswith("Question1q1·Geometry999")


def test_a_short_test_has_all_its_curves_in_one_drawing() -> None:
    short, long = Outline(render(report(5))), Outline(render(report(11)))

    drawings = [at.get("class") for tag, at in short.elements if tag == "svg"]
    assert "curves" in drawings
    assert "curves" not in [at.get("class") for tag, at in long.elements if tag == "svg"]


def test_what_was_not_estimated_is_a_dash_and_never_nan() -> None:
    nothing = np.full(5, np.nan)

    html = render(
        report(
            **dict.fromkeys(("discrimination", "discrimination_se"), nothing),
            **dict.fromkeys(("difficulty", "difficulty_se"), nothing),
            information=np.full(61, np.nan),
            standard_error=np.full(61, np.inf),
        )
    )

    page = Outline(html)
    assert page.data()["items"]["difficulty"] == [None] * 5
    assert (
        page.rows()[1] == "q0Algebra1,000" + percent(report().share_correct[0]) + "\N{EN DASH}" * 4
    )
    drawings = html.split("<main>")[1].split("<script")[0]
    assert not re.search(r"\b(nan|inf)\b", drawings, re.IGNORECASE)


@pytest.mark.parametrize(
    ("difficulty", "discrimination"), [(-144.7, 0.00465), (1e9, 1e-9), (0.0, 0.0), (3.0, -25.0)]
)
def test_wild_parameters_stay_inside_the_drawings(difficulty: float, discrimination: float) -> None:
    wild = {"difficulty": np.full(5, difficulty), "discrimination": np.full(5, discrimination)}

    page = Outline(render(report(**wild)))

    for tag, attributes in page.elements:
        if tag == "circle":
            assert 0 <= float(attributes["cx"] or "nan") <= 560
            assert 0 <= float(attributes["cy"] or "nan") <= 952


def test_observed_shares_add_up_to_the_share_of_right_answers() -> None:
    given_report = report(students=100_000)

    data = Outline(render(given_report)).data()

    for packed, share in zip(data["items"]["observed"], given_report.share_correct, strict=True):
        bands = (len(packed) - 1) // 2
        counts, shares = np.array(packed[1 : 1 + bands]), np.array(packed[1 + bands :]) / 1000
        assert counts.sum() == pytest.approx(100_000, rel=1e-3)
        assert (counts * shares).sum() / counts.sum() == pytest.approx(share, abs=1e-3)
    assert data["bands"] == sorted(data["bands"])
    assert max(np.diff(data["bands"])) < 0.65


def test_seventeen_thousand_items_fit_into_a_few_megabytes() -> None:
    html = render(report(17_000, students=5000))

    assert len(html.encode()) < 6_000_000
    assert html.count("<tr") < 60


# Numbers.


@pytest.mark.parametrize(
    ("value", "decimals", "printed"),
    [
        (-1.234, 2, "\N{MINUS SIGN}1.23"),
        (-0.004, 2, "0.00"),
        (0.125, 2, "0.13"),
        (-0.125, 2, "\N{MINUS SIGN}0.13"),
        (2.5, 0, "3"),
        (1234567.0, 0, "1,234,567"),
        (float("nan"), 2, "\N{EN DASH}"),
        (float("-inf"), 2, "\N{EN DASH}"),
    ],
)
def test_numbers_have_a_true_minus_fixed_decimals_and_no_negative_zero(
    value: float, decimals: int, printed: str
) -> None:
    assert fixed(value, decimals) == printed


def test_counts_have_their_noun_in_the_right_number() -> None:
    assert [counted(1, "item"), counted(2000, "item")] == ["1 item", "2,000 items"]
    assert [whole(np.int64(5)), percent(0.005)] == ["5", "1%"]


@given(
    st.floats(-10, 10),
    st.floats(1e-3, 1e6),
    st.integers(2, 10),
)
@settings(max_examples=200, deadline=None)
def test_ticks_are_few_evenly_spaced_and_told_apart(low: float, span: float, about: int) -> None:
    ticks = Scale(low, low + span, 0, 100).ticks(about)

    values = [value for value, _ in ticks]
    assert len(ticks) <= 1.2 * about + 2
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in values)
    assert len({label for _, label in ticks}) == len(ticks)


@given(
    st.lists(st.floats(0, 500), max_size=40).map(sorted),
    st.floats(1, 30),
)
@settings(max_examples=200, deadline=None)
def test_labels_never_overlap_nor_leave_the_drawing(wanted: list[float], gap: float) -> None:
    places = spread(wanted, gap, 0, 500)

    room = 500 / max(1, len(wanted) - 1)
    assert len(places) == len(wanted)
    assert all(-1e-6 <= place <= 500 + 1e-6 for place in places)
    assert all(step >= min(gap, room) - 1e-6 for step in np.diff(places))


# Nothing breaks out, nothing comes in.


def test_the_same_data_makes_the_same_bytes_in_any_process() -> None:
    script = (
        "import hashlib; from tests.test_report import report, render;"
        "flags = [('low_discrimination', 'all_wrong', 'x', 'y'), ('y', 'x'), (), ('z',), ()];"
        "print(hashlib.sha256(render(report(flags=flags)).encode()).hexdigest())"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1


def test_the_page_runs_only_its_own_script_and_asks_for_nothing() -> None:
    page = Outline(render(report()))

    policy = next(at["content"] or "" for _, at in page.elements if "http-equiv" in at)
    for kind, text in (("style", page.text["style"][0]), ("script", page.text["script"][1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    for _, attributes in page.elements:
        assert not {"src", "style", "onclick", "onload", "srcset"} & set(attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:"))
    assert "url(" not in page.text["style"][0]
    assert "@import" not in page.text["style"][0]


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "</script x",
    "</SCRIPT/<!-- <script ",
    "\"quotes' & <b>bold</b> &lt;",
    "{{ 7 * 7 }} {% raw %}",
    "سؤال في الجبر \N{RIGHT-TO-LEFT OVERRIDE}dda",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}\u2028\u2029",
    "long " * 2000,
    "half \ud83d surrogate, \0 nul, \x1b[31m, tab\tand\nnewline",
    "__proto__",
    "]]>'); drop table items; --",
]


def test_names_of_any_kind_stay_text() -> None:
    plain = Outline(render(report(len(HOSTILE), item_name=["plain"] * len(HOSTILE))))

    html = render(report(len(HOSTILE), item_id=HOSTILE, item_name=HOSTILE[::-1], subject=HOSTILE))

    page = Outline(html)
    html.encode("utf-8")
    assert len(page.text["script"]) == 2
    assert not set("<>&") & set(html.split('id="data">')[1].split("</script>")[0])
    assert [tag for tag, _ in page.elements if tag != "small"] == [
        tag for tag, _ in plain.elements if tag != "small"
    ]
    assert page.data()["items"]["id"] == [clean(name) for name in HOSTILE]
    assert clean(HOSTILE[4]) == HOSTILE[4]


@given(st.lists(st.text(st.characters(codec=None)), min_size=3, max_size=3, unique=True))
@settings(max_examples=40, deadline=None)
def test_no_name_changes_the_page_around_it(names: Sequence[str]) -> None:
    expected = [tag for tag, _ in Outline(render(report(3, subject=[None] * 3))).elements]
    named = replace(report(3, subject=[None] * 3), item_name=[None, f".{names[1]}", None])

    html = render(replace(named, item_id=[f".{name}" for name in names], title=names[2]))

    assert [tag for tag, _ in Outline(html).elements] == expected
    html.encode("utf-8")


def test_a_drawing_escapes_its_text_and_its_attributes() -> None:
    drawn = element("text", "a<b>&", class_='"><script>')

    assert drawn == '<text class="&#34;&gt;&lt;script&gt;">a&lt;b&gt;&amp;</text>'


def test_facts_and_reasons_are_text_too() -> None:
    html = render(report(facts={"<u>fact": "<u>value"}, left_out={"<s>why": 1}))

    assert not {"u", "s"} & {tag for tag, _ in Outline(html).elements}
    assert "&lt;u&gt;value" in html
    assert "&lt;s&gt;why" in html


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"difficulty": np.zeros(4)}, r"difficulty has the shape \(4,\); .* expected \(5,\)"),
        ({"right_at": np.zeros((5, 3))}, r"right_at has the shape \(5, 3\)"),
        ({"flags": [()]}, "flags has the shape"),
        ({"item_id": ["a", "b", "a", "c", "d"]}, "'a' comes 2 times; ids must be unique"),
        ({"item_id": []}, "at least one item"),
        ({"theta": np.zeros(61)}, "theta needs"),
        ({"ability_edges": np.zeros(3)}, "ability_edges has the shape"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        report(**changes)


# In a browser.


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


def test_the_script_prints_the_same_rows_as_the_server(tab: browser.Page, write: Any) -> None:
    values = np.array([0.125, -0.125, -0.004, np.nan, -1234.5678, 0.005, 1e6, 2.675, -3.0])
    data = report(9, difficulty=values, difficulty_se=np.abs(values), share_correct=values % 1)
    path = write(data)

    tab.open(path)

    shown = ["".join(row.split()) for row in tab.text("#table tbody tr")]
    assert shown == Outline(path.read_text(encoding="utf-8")).rows()[1:10]


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


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1400])
def test_no_screen_needs_to_scroll_sideways(tab: browser.Page, write: Any, width: int) -> None:
    tab.resize(width, 800)

    tab.open(write(bank()), "#item=q6")

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
