"""The report: what it says, and that nothing can break out of it."""

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

from etl_jobs.irt.estimation.flags import FLAGS
from etl_jobs.report import Group, ReportData, render
from etl_jobs.report.data import Differences, Pair
from etl_jobs.report.flags import KNOWN
from etl_jobs.report.names import clean
from etl_jobs.report.numerals import counted, fixed, percent, whole
from etl_jobs.report.svg import Scale, element, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

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
            "Smaller": 2e-5,
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
        ("Smaller", "below 0.0005"),
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


def test_guessing_fit_anchors_and_groups_are_told_where_there_are_any() -> None:
    told = {
        "lower": np.array([0.2, 0.25, 0.0, np.nan, 0.1]),
        "infit": np.full(5, 1.02),
        "outfit": np.full(5, 0.98),
        "anchored": [True, False, True, False, False],
        "ability_mean": 0.31,
        "ability_deviation": 1.12,
        "groups": [Group(name="north", students=600, mean=0.0, deviation=1.0),
                   Group(name="<south>", students=400, mean=-0.5, deviation=0.9)],
    }  # fmt: skip

    plain, page = Outline(render(report())), Outline(render(report(**told)))

    assert "Guess" not in plain.text["main"][0]
    assert "Anchor" not in plain.text["main"][0]
    assert page.rows()[0].endswith("GuesscInfitOutfit")
    assert page.rows()[1].startswith("q0AlgebraAnchor1,000")
    assert page.rows()[1].endswith("0.201.020.98")
    assert page.rows()[4].endswith("\N{EN DASH}1.020.98")
    assert "2 anchor items keep their numbers from an earlier run" in page.text["main"][0]
    assert "whose mean is 0.31 and whose standard deviation is 1.12" in page.text["main"][0]
    assert "<south>400\N{MINUS SIGN}0.500.90" in page.rows()
    assert page.data()["items"]["lower"] == [0.2, 0.25, 0.0, None, 0.1]
    assert page.data()["items"]["anchor"] == [1, 0, 1, 0, 0]


def with_differences(**changes: Any) -> ReportData:
    """Five items of which one is harder for group b and one easier."""
    told: dict[str, Any] = {
        "flags": [("large_dif",), (), ("moderate_dif",), (), ()],
        "groups": [
            Group(name="a", students=600, mean=0.0, deviation=1.0),
            Group(name="<b>", students=300, mean=-0.5, deviation=0.9),
            Group(name="no group", students=100, mean=0.1, deviation=1.0),
        ],
        "differences": Differences(
            reference="a",
            group=["<b>"] * 5,
            delta=np.array([-2.5, 0.1, 1.25, np.nan, 0.0]),
            delta_se=np.array([0.25, 0.3, 0.2, np.nan, 0.2]),
        ),
        "ability_mean": -0.14,
        "ability_deviation": 1.02,
    }
    return report(**told | changes)


def test_items_that_treat_groups_differently_are_told_with_the_group() -> None:
    page = Outline(render(with_differences()))

    text = " ".join(page.text["main"][0].split())
    assert "Students of the group <b> were compared with equally able ones of a" in text
    assert "2 items treat them differently. On average, their ability is 0.50 below that" in text
    assert "1 harder for <b>." in text
    assert "1 easier for <b>." in text
    rows = page.rows()
    assert rows[0].endswith("DIF")
    assert rows[1].startswith("q0AlgebraHarderfor<b>1,000")
    assert rows[1].endswith("\N{MINUS SIGN}2.50")
    assert rows[3].startswith("q2Somewhateasierfor<b>")
    assert rows[4].endswith("\N{EN DASH}")
    assert "The average student of a has 0" in text
    data = page.data()
    assert data["items"]["dif"] == [-2.5, 0.1, 1.25, None, 0.0]
    label, meaning = data["said"]["0"]["0"]
    assert label == "Harder for <b>"
    assert meaning.startswith("Than for equally able students of a: \N{MINUS SIGN}2.50 ± 0.25")


def test_groups_that_are_compared_alone_have_no_means() -> None:
    groups = [
        Group(name=name, students=500, mean=np.nan, deviation=np.nan) for name in ("a", "<b>")
    ]

    page = Outline(render(with_differences(groups=groups, flags=[()] * 5)))

    assert "GroupStudents" in page.rows()
    assert "<b>500" in page.rows()
    assert "no item treats them differently." in page.text["main"][0]
    assert "On average" not in page.text["main"][0]


def test_items_that_hang_together_are_named() -> None:
    flags = [("local_dependence",), ("local_dependence", "misfit"), ("local_dependence",), (), ()]
    pairs = [
        Pair(first=0, second=1, q3=0.4, students=900),
        Pair(first=1, second=2, q3=0.3, students=1),
    ]

    page = Outline(render(report(flags=flags, pairs=pairs)))

    text = " ".join(page.text["main"][0].split())
    assert "q0 with Question 1; Question 1 with q2." in text
    said = page.data()["said"]
    assert said["0"]["1"][0] == "Hangs together with Question 1"
    assert said["1"]["1"][0] == "Hangs together with q0 and 1 more"
    assert "q0 (Q3 0.40, 900 students); q2 (Q3 0.30, 1 student)" in said["1"]["1"][1]
    assert page.rows()[1].startswith("q0AlgebraHangstogetherwithQuestion1")


def test_a_pair_of_an_item_with_too_few_answers_accuses_nobody() -> None:
    flags = [("too_few_answers", "local_dependence"), (), (), (), ()]

    page = Outline(render(report(flags=flags, pairs=[Pair(first=0, second=1, q3=1, students=30)])))

    assert page.data()["said"] == {}
    assert "Hangs together" not in page.text["main"][0]


def test_more_columns_than_there_is_room_for_leave_their_errors_to_the_panel() -> None:
    five = np.full(5, 0.5)

    wide = Outline(render(with_differences(lower=five, infit=five, outfit=five)))
    usual = Outline(render(report(infit=five, outfit=five)))

    tables = [
        next(at["class"] for tag, at in page.elements if tag == "table") for page in (wide, usual)
    ]
    assert tables == ["crowded overcrowded", "crowded"]


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
        ({"lower": np.zeros(4)}, r"lower has the shape \(4,\)"),
        ({"anchored": [True]}, r"anchored has the shape \(1,\)"),
        ({"item_id": ["a", "b", "a", "c", "d"]}, "'a' comes 2 times; ids must be unique"),
        ({"item_id": []}, "at least one item"),
        ({"theta": np.zeros(61)}, "theta needs"),
        ({"ability_edges": np.zeros(3)}, "ability_edges has the shape"),
        ({"pairs": [Pair(first=0, second=5, q3=1.0, students=9)]}, "0 and 5; there are 5"),
        (
            {
                "differences": Differences(
                    reference="a", group=["b"], delta=np.zeros(5), delta_se=np.zeros(5)
                )
            },
            "differences.group has the shape",
        ),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        report(**changes)
