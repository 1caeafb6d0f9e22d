"""Make `lsat6.csv.gz` and `lsat7.csv.gz`: answer logs that hold the published LSAT tables.

    python examples/make_answer_log.py

The tables, `lsat6_patterns.csv` and `lsat7_patterns.csv`, count how many of 1,000 persons
gave each pattern of right and wrong answers to five items of the Law School Admission Test,
sections 6 and 7 (Bock & Lieberman, 1970, Psychometrika 35, 179-197). Everything else here is
invented: who the persons are, when they answered, and what a real log would bring besides.

A log is 5,000 valid first answers and, for every 100 of them,

  2    replays: the same row delivered again, with the same answer_id
  3    second attempts: a day or more later, with an answer_id of their own
  1    staff previews: no student_id, or a blank one
  0.5  of each: no item_id; no answer_id; not scored (correct is NULL); scored 2; no time

An invalid row says the opposite of the student's valid answer, and before it: a cleaning that
misses one cannot reproduce the table. One row in five spells its subject, exam or item's name
its own way. The first valid attempt of each student at each item gives exactly the table.
"""

from __future__ import annotations

import csv
import gzip
import random
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_DAY = datetime(2024, 3, 4, 8, tzinfo=UTC)
DAYS = 5
BLANKS = (None, "", "  ")


@dataclass(frozen=True)
class Answer:
    """One row of the log, its columns named as in `raw.answers`."""

    answer_id: str | None
    student_id: str | None
    item_id: str | None
    item_name: str
    subject: str
    exam: str
    correct: int | None
    answered_at: datetime | None


def read_patterns(path: Path) -> list[tuple[int, ...]]:
    """Return each person's answers, 1 for right and 0 for wrong, in the table's order."""
    with path.open(newline="") as file:
        rows = [[int(field) for field in row] for row in list(csv.reader(file))[1:]]
    return [tuple(pattern) for *pattern, count in rows for _ in range(count)]


def first_answers(
    patterns: list[tuple[int, ...]], section: int, draw: random.Random
) -> list[Answer]:
    """Return every person's answers, each person in one sitting of a few minutes."""
    persons = list(patterns)
    draw.shuffle(persons)
    answers = []
    for number, pattern in enumerate(persons, 1):
        day = timedelta(days=draw.randrange(DAYS))
        at = FIRST_DAY + day + timedelta(seconds=draw.randrange(8 * 3600))
        for item, correct in enumerate(pattern, 1):
            at += timedelta(milliseconds=draw.randrange(20_000, 150_000))
            answers.append(
                Answer(
                    answer_id=f"lsat{section}-{number:04}-{item}",
                    student_id=f"s{number:04}",
                    item_id=f"lsat{section}-{item}",
                    item_name=f"Item {item}",
                    subject="Law School Admission",
                    exam=f"LSAT Section {section}",
                    correct=correct,
                    answered_at=at,
                )
            )
    return answers


def invalid_rows(answers: list[Answer], draw: random.Random) -> list[Answer]:
    """Return what a cleaning has to leave out, made from answers that count."""

    def spoilt(count: int) -> list[Answer]:
        return [
            replace(
                answer,
                answer_id=f"{answer.answer_id}-{draw.randrange(10**6):06}",
                correct=1 - (answer.correct or 0),
                answered_at=(answer.answered_at or FIRST_DAY) - timedelta(minutes=10),
            )
            for answer in draw.sample(answers, count)
        ]

    part = len(answers) // 200
    return [
        *(replace(each, student_id=draw.choice(BLANKS)) for each in spoilt(2 * part)),
        *(replace(each, item_id=draw.choice(BLANKS)) for each in spoilt(part)),
        *(replace(each, answer_id=draw.choice(BLANKS)) for each in spoilt(part)),
        *(replace(each, correct=None) for each in spoilt(part)),
        *(replace(each, correct=2) for each in spoilt(part)),
        *(replace(each, answered_at=None) for each in spoilt(part)),
    ]


def second_attempts(answers: list[Answer], draw: random.Random) -> list[Answer]:
    """Return later answers to items answered before, more often right than wrong."""
    return [
        replace(
            answer,
            answer_id=f"{answer.answer_id}-again",
            correct=int(draw.random() < 0.8),
            answered_at=(answer.answered_at or FIRST_DAY)
            + timedelta(days=1 + draw.randrange(3), seconds=draw.randrange(3600)),
        )
        for answer in draw.sample(answers, len(answers) * 3 // 100)
    ]


def misspelt(answer: Answer, draw: random.Random) -> Answer:
    """Return the answer as one system in five writes it."""
    if draw.random() >= 0.2:
        return answer
    return replace(
        answer,
        item_name=draw.choice((f" {answer.item_name} ", answer.item_name.replace(" ", "  "))),
        subject=draw.choice(
            (" Law School  Admission ", "LAW SCHOOL ADMISSION", "law school admission")
        ),
        exam=draw.choice(
            (answer.exam.upper(), answer.exam.lower(), answer.exam.replace(" ", "\t"))
        ),
    )


def make_log(patterns: Path, section: int) -> list[Answer]:
    """Return the whole log in the order in which it was delivered."""
    draw = random.Random(section)  # noqa: S311 - repeatable, nothing secret
    answers = first_answers(read_patterns(patterns), section, draw)
    answers += second_attempts(answers, draw) + invalid_rows(answers, draw)
    answers = [misspelt(answer, draw) for answer in answers]
    answers += draw.sample(answers[:5000], 100)
    # A delivery is late by up to an hour; a row without a time comes when it comes.
    last = FIRST_DAY + timedelta(days=DAYS)
    late = [
        (answer.answered_at or last) + timedelta(seconds=draw.randrange(3600)) for answer in answers
    ]
    order = sorted(range(len(answers)), key=lambda number: (late[number], number))
    return [answers[number] for number in order]


def csv_field(value: object) -> str:
    """Return NULL as nothing, "" as a quoted nothing, and times in ISO 8601."""
    if value is None:
        return ""
    text = value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else str(value)
    return f'"{text}"' if text != text.strip() or not text else text


def write_log(answers: list[Answer], path: Path) -> None:
    """Write the log as gzip-compressed CSV, the same bytes each time."""
    lines = [",".join(field.name for field in fields(Answer))]
    lines += [",".join(csv_field(value) for value in astuple(answer)) for answer in answers]
    text = "".join(f"{line}\n" for line in lines)
    # Neither the file's name nor the time of day becomes part of it.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())


def main(folder: Path = Path(__file__).parent) -> None:
    """Write both logs beside the tables."""
    here = Path(__file__).parent
    for section in (6, 7):
        log = make_log(here / f"lsat{section}_patterns.csv", section)
        write_log(log, folder / f"lsat{section}.csv.gz")


if __name__ == "__main__":
    main()
