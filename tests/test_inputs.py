from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import resource
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from google.api_core.exceptions import NotFound
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from etl_jobs.errors import CalibrationError, ContractError, InputError, JobError
from etl_jobs.inputs.load import convert_file, load_input
from etl_jobs.inputs.logs import checked_text, ndjson_log
from etl_jobs.inputs.mapping import LogMapping, read_mapping
from etl_jobs.sources import Source, load_sources
from gcp_accessor.schema import Column

if TYPE_CHECKING:
    from gcp_accessor import BigQueryAccessor

HEADER = "answer_id,student_id,item_id,correct,answered_at"
ROW = "a1,ana,q1,1,2024-03-01T09:00:00Z"


class Desk:
    """A folder with files in it, and what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def mapping(self, text: str) -> LogMapping:
        return read_mapping(self.file("log.yaml", text))

    def convert(self, path: Path, mapping: LogMapping | None = None) -> list[dict[str, Any]]:
        out = self.folder / "out.parquet"
        convert_file(path, "raw.answers", mapping, out)
        return parquet.read_table(out).to_pylist()

    def csv(self, *rows: str, header: str = HEADER) -> list[dict[str, Any]]:
        return self.convert(self.file("log.csv", "\n".join((header, *rows)) + "\n"))

    def refusal(self, path: Path, mapping: LogMapping | None = None) -> str:
        with pytest.raises(InputError) as caught:
            self.convert(path, mapping)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert len(sentence) < 600
        return sentence

    def csv_refusal(self, *rows: str, header: str = HEADER) -> str:
        return self.refusal(self.file("log.csv", "\n".join((header, *rows)) + "\n"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- What arrives --------------------------------------------------------------------------


def test_a_csv_with_our_names_needs_no_mapping(desk: Desk) -> None:
    rows = desk.csv(ROW)

    assert rows == [
        {
            "answer_id": "a1",
            "student_id": "ana",
            "item_id": "q1",
            "item_name": None,
            "subject": None,
            "exam": None,
            "correct": 1,
            "answered_at": datetime(2024, 3, 1, 9, tzinfo=UTC),
        }
    ]


def test_the_columns_of_a_row_are_those_that_sources_yaml_declares(desk: Desk) -> None:
    source = load_sources()["raw.answers"]

    rows = desk.csv(ROW)

    assert list(rows[0]) == [column.name for column in source.columns]


def test_a_column_that_no_file_can_fill_is_refused(desk: Desk) -> None:
    source = Source(
        "raw.marks", "Marks.", ("id",), (Column("id", "STRING"), Column("mark", "DATE"))
    )
    path = desk.file("log.csv", "id,mark\na,2024-03-01\n")

    with pytest.raises(InputError, match=r"raw\.marks: mark is declared as DATE; a file fills"):
        convert_file(
            path, "raw.marks", None, desk.folder / "rows.parquet", sources={"raw.marks": source}
        )


def test_an_unquoted_nothing_is_null_and_a_quoted_one_is_empty(desk: Desk) -> None:
    rows = desk.csv(',"",q1,,')

    assert rows[0]["answer_id"] is None
    assert rows[0]["student_id"] == ""
    assert rows[0]["correct"] is None
    assert rows[0]["answered_at"] is None


def test_a_quoted_nothing_is_null_where_no_text_is_expected(desk: Desk) -> None:
    rows = desk.csv('a1,ana,q1,"",""')

    assert rows[0]["correct"] is None
    assert rows[0]["answered_at"] is None


def test_ids_that_look_like_numbers_keep_every_character(desk: Desk) -> None:
    rows = desk.csv("007,1e5,1.0,1,2024-03-01")

    assert [rows[0][name] for name in ("answer_id", "student_id", "item_id")] == [
        "007",
        "1e5",
        "1.0",
    ]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "ndjson", "jsonl", "jsonl.gz", "parquet"])
def test_odd_ids_arrive_intact_in_every_format(desk: Desk, ending: str) -> None:
    ids = ["x" * 10_000, 'say "hi"', "a,b", "two\nlines", "crlf\r\n", "🦉é", " padded ", "'", "\\N"]
    path = desk.folder / f"log.{ending}"
    write(path, [{**RECORD, "student_id": each, "item_id": each} for each in ids])

    rows = desk.convert(path)

    assert [row["student_id"] for row in rows] == ids
    assert [row["item_id"] for row in rows] == ids


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.none(),
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            ),
            st.sampled_from([0, 1, None]),
            st.one_of(
                st.none(),
                st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
            ),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["csv", "csv.gz", "ndjson", "ndjson.gz", "parquet"]),
)
@settings(max_examples=60, deadline=None)
def test_every_text_number_and_time_arrives_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, Any, Any]], ending: str
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    path = desk.folder / f"log.{ending}"
    write(
        path,
        [
            {**RECORD, "item_id": item, "correct": correct, "answered_at": at}
            for item, correct, at in values
        ],
    )

    rows = desk.convert(path)

    assert [(row["item_id"], row["correct"], row["answered_at"]) for row in rows] == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("0", 0),
        ("1.0", 1),
        ("0.0", 0),
        ("TRUE", 1),
        ("False", 0),
        (" 1 ", 1),
        # Another whole number is no mistake of the file's; the cleaning counts and reports it.
        ("2", 2),
    ],
)
def test_correct_is_read_as_logs_write_it(desk: Desk, text: str, expected: int) -> None:
    rows = desk.csv(f"a1,ana,q1,{text},2024-03-01", "a2,ana,q2,1,2024-03-01")

    assert rows[0]["correct"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", "2024-03-01T00:00:00"),
        ("2024-03-01 09:00", "2024-03-01T09:00:00"),
        ("2024-03-01T09:00:00", "2024-03-01T09:00:00"),
        ("2024-03-01T09:00:00Z", "2024-03-01T09:00:00"),
        ("2024-03-01t09:00:00z", "2024-03-01T09:00:00"),
        ("2024-03-01 09:00:00 UTC", "2024-03-01T09:00:00"),
        ("2024-03-01 09:00:00.5 UTC", "2024-03-01T09:00:00.500000"),
        ("2024-03-01T09:00:00+02:00", "2024-03-01T07:00:00"),
        ("2024-03-01 09:00:00 -0330", "2024-03-01T12:30:00"),
        ("2024-03-01 09:00:00+02", "2024-03-01T07:00:00"),
        ("2024-03-01T09Z", "2024-03-01T09:00:00"),
        ("2024-03-01T09:00:00.123456789Z", "2024-03-01T09:00:00.123456"),
        ('"2024-03-01 09:00:00,123"', "2024-03-01T09:00:00.123000"),
        (" 2024-03-01 ", "2024-03-01T00:00:00"),
    ],
)
def test_iso_times_are_read_alone_and_among_others(desk: Desk, text: str, expected: str) -> None:
    alone = desk.csv(f"a1,ana,q1,1,{text}")
    among = desk.csv(f"a1,ana,q1,1,{text}", ROW, "a3,ana,q3,1,2024-03-01 09:00", "a4,ana,q4,1,")

    instant = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert alone[0]["answered_at"] == instant
    assert among[0]["answered_at"] == instant
    assert among[3]["answered_at"] is None


def test_blank_lines_and_a_byte_order_mark_are_no_rows(desk: Desk) -> None:
    path = desk.file("log.csv", b"\xef\xbb\xbf" + f"\n{HEADER}\r\n\r\n{ROW}\r\n\r\n".encode())

    assert len(desk.convert(path)) == 1


def test_the_last_line_may_lack_its_end(desk: Desk) -> None:
    path = desk.file("log.csv", f"{HEADER}\n{ROW}\na2,ana,q2,0,2024-03-01")

    assert [row["answer_id"] for row in desk.convert(path)] == ["a1", "a2"]


def test_a_header_may_be_quoted_over_two_lines(desk: Desk) -> None:
    rows = desk.csv(ROW + ",x", header=HEADER + ',"a long\nname"')

    assert rows[0]["answer_id"] == "a1"


def test_further_columns_are_ignored_and_named(desk: Desk) -> None:
    path = desk.file("log.csv", f"{HEADER},browser,ip\n{ROW},firefox,::1\n")

    loaded = convert_file(path, "raw.answers", None, desk.folder / "out.parquet")

    assert loaded.ignored_columns == ("browser", "ip")
    assert loaded.notes == (
        "columns of the file that are not used: browser, ip",
        "columns of raw.answers that stay NULL, the file has none: item_name, subject, exam",
    )


def test_rows_beyond_the_first_block_are_read_and_numbered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_text, "BLOCK_BYTES", 1024)
    lines = [f"a{number},ana,q{number},1,2024-03-01" for number in range(1, 501)]
    records = [dict(zip(HEADER.split(","), line.split(","), strict=True)) for line in lines]
    good_csv = desk.file("good.csv", "\n".join((HEADER, *lines)))
    good_json = desk.file("good.ndjson", "\n".join(json.dumps(each) for each in records))
    lines[400] = "a401,ana,q401,maybe,2024-03-01"
    records[400]["correct"] = "maybe"
    bad_csv = desk.file("bad.csv", "\n".join((HEADER, *lines)))
    bad_json = desk.file("bad.ndjson", "\n".join(json.dumps(each) for each in records))

    assert len(desk.convert(good_csv)) == 500
    assert len(desk.convert(good_json)) == 500
    assert "bad.csv row 401: correct is 'maybe'" in desk.refusal(bad_csv)
    assert "bad.ndjson row 401: correct is 'maybe'" in desk.refusal(bad_json)


# --- Typed files ---------------------------------------------------------------------------


def test_parquet_columns_keep_their_plain_meaning(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    table = pa.table(
        {
            "answer_id": pa.array([1, 2, 3, None]),
            # pandas turns whole numbers with a gap into floats.
            "student_id": pa.array([7.0, 8.0, None, float("nan")]),
            "item_id": pa.array(["q1", "q2", "q1", "q2"]).dictionary_encode(),
            "item_name": pa.array([b"one", b"two", b"one", None]),
            "exam": pa.array([Decimal("1.50"), None, None, None]),
            "correct": pa.array([True, False, None, True]),
            "answered_at": pa.array([datetime(2024, 3, 1, 9)] * 3 + [None], pa.timestamp("ns")),
        }
    )
    parquet.write_table(table, path)

    rows = desk.convert(path)

    assert [row["answer_id"] for row in rows] == ["1", "2", "3", None]
    assert [row["student_id"] for row in rows] == ["7", "8", None, None]
    assert [row["item_id"] for row in rows] == ["q1", "q2", "q1", "q2"]
    assert [row["item_name"] for row in rows] == ["one", "two", "one", None]
    assert rows[0]["exam"] == "1.50"
    assert [row["correct"] for row in rows] == [1, 0, None, 1]
    assert rows[0]["answered_at"] == datetime(2024, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([datetime(2024, 3, 1, tzinfo=UTC)], pa.timestamp("s", "Europe/Berlin")),
        pa.array([datetime(2024, 3, 1)], pa.timestamp("ms")),
        pa.array([date(2024, 3, 1)]),
        pa.array(["2024-03-01"]),
    ],
    ids=lambda times: str(times.type),
)
def test_a_parquet_time_is_its_instant_and_without_a_zone_utc(desk: Desk, times: pa.Array) -> None:
    path = desk.folder / "log.parquet"
    columns = {name: pa.array(["x"]) for name in ("answer_id", "student_id", "item_id")}
    parquet.write_table(pa.table({**columns, "correct": [1], "answered_at": times}), path)

    assert desk.convert(path)[0]["answered_at"] == datetime(2024, 3, 1, tzinfo=UTC)


def test_json_numbers_and_booleans_keep_their_plain_meaning(desk: Desk) -> None:
    lines = [
        '{"answer_id": 12345678901234567890, "student_id": 7, "item_id": "2024-03-01", '
        '"correct": true, "answered_at": "2024-03-01T09:00:00Z"}',
        '{"answer_id": "b", "student_id": "7", "item_id": "q", '
        '"correct": 0, "answered_at": null, "more": [1]}',
    ]

    rows = desk.convert(desk.file("log.ndjson", "\n".join(lines)))

    assert [row["answer_id"] for row in rows] == ["12345678901234567890", "b"]
    assert [row["student_id"] for row in rows] == ["7", "7"]
    assert [row["item_id"] for row in rows] == ["2024-03-01", "q"]
    assert [row["correct"] for row in rows] == [1, 0]


def test_an_id_that_looks_like_a_time_stays_the_text_it_is_in_json(desk: Desk) -> None:
    lines = [json.dumps({**RECORD, "item_id": "2024-03-01T00:00:00Z"})] * 2

    rows = desk.convert(desk.file("log.jsonl", "\n\n".join(lines)))

    assert [row["item_id"] for row in rows] == ["2024-03-01T00:00:00Z"] * 2


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([1.0, 0.0, 3.0, 1e3]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(["2024-03-01", "2024-03-01T09:00:00Z", "1", "true", ""]),
)


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), json_values), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_arrow_reads_a_json_line_as_python_does_or_leaves_it_to_python(
    records: list[dict[str, Any]],
) -> None:
    text = "\n".join(json.dumps(record) for record in records).encode()
    expected = [{name: record.get(name) for name in ("x", "y")} for record in records]

    table = ndjson_log.arrow_records(text)

    if table is not None:
        got = [{name: row.get(name) for name in ("x", "y")} for row in table.to_pylist()]
        assert got == expected


# --- What is refused -----------------------------------------------------------------------


def test_a_missing_file_is_named(desk: Desk) -> None:
    assert desk.refusal(desk.folder / "nope.csv") == f"there is no file {desk.folder}/nope.csv"


def test_a_pipe_is_refused(desk: Desk) -> None:
    os.mkfifo(desk.folder / "log.csv")

    assert desk.refusal(desk.folder / "log.csv").endswith("is not a plain file")


def test_a_folder_is_refused(desk: Desk) -> None:
    assert desk.refusal(desk.folder).endswith("is a folder; expected a file")


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.ndjson", "log.parquet"])
def test_an_empty_file_is_refused(desk: Desk, name: str) -> None:
    assert desk.refusal(desk.file(name, b"")) == f"{name} is empty"


@pytest.mark.parametrize("name", ["log.csv.gz", "log.jsonl.gz"])
def test_a_gzip_file_of_nothing_is_refused(desk: Desk, name: str) -> None:
    assert desk.refusal(desk.file(name, gzip.compress(b""))) == f"{name} is empty"


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_header_without_rows_is_refused(desk: Desk, end: str) -> None:
    sentence = desk.refusal(desk.file("log.csv", HEADER + end))

    assert sentence.startswith("log.csv has no rows, only the header answer_id")


def test_a_parquet_file_without_rows_is_refused(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    parquet.write_table(pa.Table.from_pylist([RECORD]).slice(0, 0), path)

    assert desk.refusal(path).startswith("log.parquet has no rows")


def test_a_missing_column_is_named_with_the_nearest_and_the_way_out(desk: Desk) -> None:
    sentence = desk.csv_refusal(ROW, header=HEADER.replace("student_id", "Student"))

    assert sentence == (
        "log.csv has no column 'student_id'; it has answer_id, Student, item_id, correct, "
        "answered_at; a mapping can say what student_id is called or made of; did you mean "
        "'Student'?"
    )


@pytest.mark.parametrize(("separator", "spelt"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'")])
def test_another_separator_is_recognised(desk: Desk, separator: str, spelt: str) -> None:
    sentence = desk.csv_refusal(ROW, header=HEADER.replace(",", separator))

    assert sentence == f"log.csv separates its columns by {spelt}; expected ','"


def test_columns_of_one_name_are_refused(desk: Desk) -> None:
    sentence = desk.csv_refusal(ROW + ",0", header=HEADER + ",correct")

    assert sentence == "log.csv has 2 columns named 'correct'; expected one"


def test_a_wrong_type_is_named_with_its_row(desk: Desk) -> None:
    sentence = desk.csv_refusal(ROW, ROW, "a3,ana,q3,maybe,2024-03-01", ROW)

    assert sentence == (
        "log.csv row 3: correct is 'maybe'; expected a whole number, true or false (1 right, "
        "0 wrong, NULL not scored)"
    )


@pytest.mark.parametrize("text", ["0.5", "1e0", "yes", "--1", "99999999999999999999"])
def test_what_is_no_whole_number_is_no_score(desk: Desk, text: str) -> None:
    assert f"row 1: correct is '{text}'" in desk.csv_refusal(f"a1,ana,q1,{text},2024-03-01")


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-02-30", "2024-13-01", "01/03/2024", "2024-03-01 25:00", "0000-01-01",
     "2024-03-01 09:00 Europe/Berlin", "2024", "9:00"],
)  # fmt: skip
def test_an_unreadable_time_is_named_with_its_row(desk: Desk, text: str) -> None:
    sentence = desk.csv_refusal(ROW, f"a2,ana,q2,1,{text}", ROW)

    assert sentence.startswith(f"log.csv row 2: answered_at is '{text}'; expected ")


def test_epoch_numbers_are_not_guessed(desk: Desk) -> None:
    sentence = desk.csv_refusal("a1,ana,q1,1,1709283600")

    assert sentence.endswith("or a mapping with the number's unit")


@pytest.mark.parametrize(("row", "fields"), [("a1,ana,q1,1", 4), (ROW + ",more", 6), ("a1", 1)])
def test_a_ragged_row_is_named(desk: Desk, row: str, fields: int) -> None:
    sentence = desk.csv_refusal(ROW, '"two\nlines",ana,q1,1,2024-03-01', row, ROW)

    plural = "field" if fields == 1 else "fields"
    assert sentence == f"log.csv row 3 has {fields} {plural}; expected 5 as in the header"


def test_a_quote_that_swallows_the_file_is_refused(desk: Desk) -> None:
    sentence = desk.csv_refusal(ROW, 'a2,ana,q2,1,"2024-03-01', ROW, ROW)

    assert sentence.startswith("log.csv row 2: a quote is not closed")


def test_an_inch_mark_inside_a_value_is_no_open_quote(desk: Desk) -> None:
    rows = desk.csv('a1,ana,5" nail,1,2024-03-01', ROW)

    assert rows[0]["item_id"] == '5" nail'


def test_a_ragged_row_behind_a_very_long_field_is_named(desk: Desk) -> None:
    sentence = desk.csv_refusal(f"a1,{'x' * 200_000},q1,1,2024-03-01", "a1")

    assert sentence == "log.csv row 2 has 1 field; expected 5 as in the header"


def test_a_very_long_quoted_field_is_no_open_quote(desk: Desk) -> None:
    rows = desk.csv(f'a1,"{"x" * 200_000}",q1,1,2024-03-01', ROW)

    assert rows[0]["student_id"] == "x" * 200_000


def test_a_row_longer_than_a_block_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_text, "BLOCK_BYTES", 1 << 20)
    long = "x" * (3 << 20)

    in_csv = desk.csv_refusal(f"a1,{long},q1,1,2024-03-01")
    in_json = desk.refusal(desk.file("log.ndjson", json.dumps({**RECORD, "item_id": long})))

    assert in_csv == "log.csv holds a row of more than 1 MiB; is a quote not closed?"
    assert in_json == "log.ndjson holds a row of more than 1 MiB"


def test_gzip_content_has_to_be_gzip(desk: Desk) -> None:
    sentence = desk.refusal(desk.file("log.csv.gz", f"{HEADER}\n{ROW}\n"))

    assert sentence == (
        "log.csv.gz is not gzip-compressed, although its name says so; rename it to log.csv if "
        "it is plain text"
    )


@pytest.mark.parametrize("cut", [1, 5, 9, 20, -8, -1])
@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_a_gzip_file_that_ends_early_is_refused(desk: Desk, cut: int, ending: str) -> None:
    path = desk.folder / f"log.{ending}.gz"
    write(path, [RECORD] * 1000)
    path.write_bytes(path.read_bytes()[:cut])

    assert "gzip" in desk.refusal(path)


def test_a_gzip_file_with_a_flipped_bit_is_refused(desk: Desk) -> None:
    path = desk.folder / "log.csv.gz"
    write(path, [{**RECORD, "answer_id": str(number * 7919)} for number in range(2000)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)

    assert "log.csv.gz is a broken gzip file" in desk.refusal(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_gzip_bomb_is_stopped(desk: Desk, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_text, "_FREE_BYTES", 1 << 20)
    first = HEADER if ending == "csv" else json.dumps(RECORD)
    bomb = gzip.compress(f"{first}\n".encode() + b"\n" * (64 << 20))

    sentence = desk.refusal(desk.file(f"log.{ending}.gz", bomb))

    assert "when decompressed" in sentence


@pytest.mark.parametrize("lines", [0, 20_000])
def test_another_encoding_is_refused_at_its_first_byte(desk: Desk, lines: int) -> None:
    text = f"{HEADER}\n" + f"{ROW}\n" * lines
    path = desk.file("log.csv", text.encode() + "a2,andré,q2,1,2024-03-01\n".encode("latin-1"))

    sentence = desk.refusal(path)

    at = len(text) + len("a2,andr")
    assert sentence.startswith(f"log.csv is not UTF-8: byte 0xe9 at byte {at:,}; convert it")


def test_half_a_character_at_the_end_is_refused(desk: Desk) -> None:
    path = desk.file("log.csv", f"{HEADER}\n{ROW}\nowl,🦉".encode()[:-1])

    assert "is not UTF-8: byte 0xf0" in desk.refusal(path)


def test_characters_across_the_edges_of_blocks_are_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_text, "BLOCK_BYTES", 101)

    rows = desk.csv(*(f"🦉{number},é,ü,1,2024-03-01" for number in range(100)))

    assert [row["answer_id"] for row in rows] == [f"🦉{number}" for number in range(100)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_recognised(desk: Desk, encoding: str) -> None:
    text = f"\ufeff{HEADER}\n" if encoding.endswith("be") else f"{HEADER}\n"

    sentence = desk.refusal(desk.file("log.csv", text.encode(encoding)))

    assert sentence == "log.csv is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8"


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(b"x", mtime=0), "is gzip-compressed; name it log.csv.gz"),
        (b"PAR1....", "is a Parquet file; name it so that it ends in .parquet"),
        (b"PK\x03\x04....", "is a zip archive or an Excel workbook; save it as CSV"),
    ],
)
def test_content_of_another_format_is_recognised(desk: Desk, content: bytes, advice: str) -> None:
    assert desk.refusal(desk.file("log.csv", content)) == f"log.csv {advice}"


@pytest.mark.parametrize("name", ["log.txt", "log", "log.parquet.gz", "log.xlsx", "log.gz"])
def test_an_unknown_ending_is_refused(desk: Desk, name: str) -> None:
    sentence = desk.refusal(desk.file(name, "x"))

    assert sentence.startswith(f"the ending of {name} stands for no format that is read")


@pytest.mark.parametrize("name", ["log.csv", "log.ndjson"])
def test_a_nul_byte_is_refused(desk: Desk, name: str) -> None:
    path = desk.file(name, f"{HEADER}\n{ROW}\n".encode() + b"a2,\0")

    at = len(HEADER) + len(ROW) + 2 + 3
    assert desk.refusal(path).startswith(f"{name} holds a NUL byte at byte {at:,}")


@pytest.mark.parametrize("cut", [4, 100, -9, -1])
def test_a_parquet_file_that_is_cut_is_refused(desk: Desk, cut: int) -> None:
    path = desk.folder / "log.parquet"
    write(path, [RECORD] * 100)
    path.write_bytes(path.read_bytes()[:cut])

    assert "log.parquet is not a sound Parquet file" in desk.refusal(path)


def test_a_parquet_file_with_overwritten_pages_is_refused(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    write(path, [{**RECORD, "answer_id": str(number)} for number in range(5000)])
    content = bytearray(path.read_bytes())
    content[8:2000] = b"\xff" * 1992
    path.write_bytes(content)

    assert "log.parquet is not a sound Parquet file" in desk.refusal(path)


def test_a_parquet_text_that_is_not_utf8_is_refused(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    latin = pa.array(["André".encode("latin-1")]).view(pa.string())
    others = pa.Table.from_pylist([RECORD]).drop_columns(["student_id"])
    parquet.write_table(others.append_column("student_id", latin), path)

    assert "log.parquet is not a sound Parquet file" in desk.refusal(path)


@pytest.mark.parametrize("value", [[1], {"a": 1}])
@pytest.mark.parametrize("ending", ["ndjson", "parquet"])
def test_a_nested_value_is_no_id(desk: Desk, value: object, ending: str) -> None:
    path = desk.folder / f"log.{ending}"
    write(path, [{**RECORD, "item_id": None}, {**RECORD, "item_id": value}])

    assert f"log.{ending} row 2: item_id is " in desk.refusal(path)


def test_a_broken_number_is_no_id(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    write(path, [{**RECORD, "student_id": 1.0}, {**RECORD, "student_id": 1.5}])

    assert desk.refusal(path) == (
        "log.parquet row 2: student_id is 1.5; expected a text or a whole number"
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1, 2]", "row 2 is '[1, 2]'; expected one object a line"),
        ("17", "row 2 is '17'; expected one object a line"),
        ("{", "row 2 is not JSON"),
        ('{"answer_id": "a"', "row 2 is not JSON"),
        ("answer_id,student_id", "row 2 is not JSON"),
        ('{"answer_id": "\\ud800"}', "row 2 is not Unicode"),
        ("[" * 100_000, "row 2 is "),
    ],
)
def test_a_json_line_that_is_no_object_is_named(desk: Desk, line: str, reason: str) -> None:
    path = desk.file("log.ndjson", f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")

    assert reason in desk.refusal(path)


def test_an_unknown_table_is_refused_with_the_nearest(desk: Desk) -> None:
    path = desk.file("log.csv", f"{HEADER}\n{ROW}\n")

    with pytest.raises(InputError, match=r"'raw.answer' .* did you mean 'raw.answers'\?"):
        convert_file(path, "raw.answer", None, desk.folder / "out.parquet")


# --- The mapping ---------------------------------------------------------------------------

LOG = "user,seq,q,score,ts\nu1,1,q1,correct,1709283600\nu1,2,q2,Incorrect ,1709283601.5\n"


def test_a_mapping_says_what_a_log_means(desk: Desk) -> None:
    mapping = desk.mapping(
        """
        columns:
          answer_id: {join: [user, seq], with: /}
          student_id: user
          item_id: {from: q}
          exam: {constant: mock exam}
          subject: {constant: null}
          correct: {from: score, right: [1, yes, CORRECT], wrong: incorrect}
          answered_at: {from: ts, unit: seconds}
        """
    )

    rows = desk.convert(desk.file("log.csv", LOG), mapping)

    assert rows == [
        {
            "answer_id": "u1/1",
            "student_id": "u1",
            "item_id": "q1",
            "item_name": None,
            "subject": None,
            "exam": "mock exam",
            "correct": 1,
            "answered_at": datetime(2024, 3, 1, 9, tzinfo=UTC),
        },
        {
            "answer_id": "u1/2",
            "student_id": "u1",
            "item_id": "q2",
            "item_name": None,
            "subject": None,
            "exam": "mock exam",
            "correct": 0,
            "answered_at": datetime(2024, 3, 1, 9, 0, 1, 500_000, tzinfo=UTC),
        },
    ]


def mapped(desk: Desk, rule: str, values: list[str], column: str = "answered_at") -> list[Any]:
    """Return what a rule makes of the values of a log's column x."""
    mapping = desk.mapping(f"columns: {{{column}: {rule}}}")
    header = HEADER.replace(column, "x")
    at = HEADER.split(",").index(column)
    cells = ["a1", "ana", "q1", "1", "2024-03-01"]
    out = io.StringIO()
    writer = csv.writer(out)
    for value in values:
        writer.writerow([*cells[:at], value, *cells[at + 1 :]])
    rows = desk.convert(desk.file("log.csv", f"{header}\n{out.getvalue()}"), mapping)
    return [row[column] for row in rows]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("{from: x, unit: milliseconds}", "1709283600123", "2024-03-01 09:00:00.123"),
        ("{from: x, unit: microseconds}", "1709283600123456", "2024-03-01 09:00:00.123456"),
        ("{from: x, unit: seconds}", "-1", "1969-12-31 23:59:59"),
        ("{from: x, seconds_after: 2009-09-01}", "61", "2009-09-01 00:01:01"),
        ("{from: x, seconds_after: '2009-09-01T02:00+02:00'}", "1", "2009-09-01 00:00:01"),
        ("{from: x, timezone: Europe/Berlin}", "2024-07-01 09:00", "2024-07-01 07:00"),
        ("{from: x, timezone: Europe/Berlin}", "2024-07-01 09:00Z", "2024-07-01 09:00"),
        # The clocks showed 02:30 twice; the first time counts.
        ("{from: x, timezone: Europe/Berlin}", "2024-10-27 02:30", "2024-10-27 00:30"),
        ("{from: x, format: '%d/%m/%Y %H:%M'}", "1/3/2024 9:05", "2024-03-01 09:05"),
        ("{from: x, format: '%d/%m/%Y %H:%M'}", "01/03/2024 09:05", "2024-03-01 09:05"),
        ("{from: x, format: '%b %d %Y %I:%M %p'}", "Mar 01 2024 09:05 PM", "2024-03-01 21:05"),
        ("{from: x, format: '%Y%m%d%H%M%S.%f'}", "20240301090500.25", "2024-03-01 09:05:00.25"),
        ("{from: x, format: '%d.%m.%Y %H:%M %z'}", "01.03.2024 09:05 +0100", "2024-03-01 08:05"),
        (
            "{from: x, format: '%d/%m/%Y %H:%M', timezone: America/New_York}",
            "01/03/2024 09:05",
            "2024-03-01 14:05",
        ),
    ],
)
def test_a_time_is_read_as_the_mapping_says(
    desk: Desk, rule: str, text: str, expected: str
) -> None:
    assert mapped(desk, rule, [text, "", text]) == [utc(expected), None, utc(expected)]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("{from: x, format: '%d/%m/%Y'}", "31/02/2024", "a time in the format '%d/%m/%Y'"),
        ("{from: x, format: '%d/%m/%Y'}", "2024-03-01", "a time in the format '%d/%m/%Y'"),
        ("{from: x, unit: seconds}", "soon", "a number of seconds"),
        # Milliseconds taken for seconds.
        ("{from: x, unit: seconds}", "1709283600123", "that ends in the years 1 to 9999"),
        ("{from: x, unit: seconds}", "inf", "that ends in the years 1 to 9999"),
        ("{from: x, timezone: Europe/Berlin}", "2024-03-31 02:30", "the clocks of Europe/Berlin"),
    ],
)
def test_a_time_that_the_mapping_cannot_mean_is_refused(
    desk: Desk, rule: str, text: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        mapped(desk, rule, ["", text])

    assert str(caught.value).startswith(f"log.csv row 2: answered_at is '{text}'; expected ")
    assert expected in str(caught.value)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
@settings(max_examples=60, deadline=None)
def test_a_format_reads_what_python_writes(
    tmp_path_factory: pytest.TempPathFactory, moment: datetime
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    form = "%d.%m.%Y %H:%M:%S"
    plain = moment.replace(microsecond=0)

    assert mapped(desk, f"{{from: x, format: '{form}'}}", [plain.strftime(form)]) == [
        plain.replace(tzinfo=UTC)
    ]


def test_a_score_outside_the_mapping_is_named_with_its_row(desk: Desk) -> None:
    rule = "{from: x, right: [correct], wrong: [incorrect, skipped]}"

    with pytest.raises(InputError) as caught:
        mapped(desk, rule, ["correct", "Skipped", "", "partly"], "correct")

    assert str(caught.value) == (
        "log.csv row 4: correct is 'partly'; expected right (correct), wrong (incorrect, "
        "skipped) or nothing"
    )


def test_missing_texts_are_null_in_every_column(desk: Desk) -> None:
    mapping = desk.mapping("missing: [NA, '-1']\ncolumns: {}")
    path = desk.file("log.csv", f"{HEADER}\nNA,ana,q1,NA,NA\na2,ana,-1,-1,2024-03-01\n")

    rows = desk.convert(path, mapping)

    assert [row["answer_id"] for row in rows] == [None, "a2"]
    assert [row["item_id"] for row in rows] == ["q1", None]
    assert [row["correct"] for row in rows] == [None, None]


def test_missing_numbers_are_null_in_typed_columns_too(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    write(path, [{**RECORD, "correct": 1}, {**RECORD, "correct": -1}])

    rows = desk.convert(path, desk.mapping("missing: -1\ncolumns: {}"))

    assert [row["correct"] for row in rows] == [1, None]


def test_missing_numbers_leave_broken_numbers_alone(desk: Desk) -> None:
    path = desk.folder / "log.parquet"
    write(path, [{**RECORD, "answered_at": 0.5}, {**RECORD, "answered_at": -1.0}])
    mapping = desk.mapping(
        "missing: [-1, NA]\ncolumns: {answered_at: {from: answered_at, unit: seconds}}"
    )

    rows = desk.convert(path, mapping)

    assert [row["answered_at"] for row in rows] == [utc("1970-01-01 00:00:00.5"), None]


@pytest.mark.parametrize("values", [[True, False], [1, 0], [1.0, 0.0], ["1", "FALSE "]])
@pytest.mark.parametrize("ending", ["ndjson", "parquet"])
def test_right_and_wrong_are_told_apart_in_typed_columns(
    desk: Desk, values: list[Any], ending: str
) -> None:
    path = desk.folder / f"log.{ending}"
    write(path, [{**RECORD, "correct": value} for value in [*values, None]])
    mapping = desk.mapping(
        "columns: {correct: {from: correct, right: [1, true], wrong: [0, false]}}"
    )

    assert [row["correct"] for row in desk.convert(path, mapping)] == [1, 0, None]


def test_the_row_number_stands_in_for_an_id_and_a_time(desk: Desk) -> None:
    mapping = desk.mapping(
        "columns: {answer_id: {join: [student_id, $row]}, "
        "answered_at: {from: $row, seconds_after: 2020-01-01}}"
    )
    path = desk.file("log.csv", "student_id,item_id,correct\nana,q1,1\nben,q1,0\n")

    rows = desk.convert(path, mapping)

    assert [row["answer_id"] for row in rows] == ["ana-1", "ben-2"]
    assert [row["answered_at"] for row in rows] == [
        datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(2020, 1, 1, 0, 0, 2, tzinfo=UTC),
    ]


def test_a_joined_text_is_null_where_a_part_is(desk: Desk) -> None:
    mapping = desk.mapping("columns: {answer_id: {join: [student_id, item_id]}}")
    path = desk.file("log.csv", f"{HEADER}\nx,,q1,1,2024-03-01\n")

    assert desk.convert(path, mapping)[0]["answer_id"] is None


def test_a_column_that_only_the_mapping_names_has_to_be_there(desk: Desk) -> None:
    mapping = desk.mapping("columns: {subject: topics}")
    path = desk.file("log.csv", f"{HEADER},topic\n{ROW},algebra\n")

    assert desk.refusal(path, mapping) == (
        "log.csv has no column 'topics' for subject; it has answer_id, student_id, item_id, "
        "correct, answered_at, topic; did you mean 'topic'?"
    )


def test_a_mapping_for_another_table_is_refused(desk: Desk) -> None:
    path = desk.file("log.csv", f"{HEADER}\n{ROW}\n")

    assert desk.refusal(path, LogMapping("raw.other")) == (
        "the mapping is for raw.other; expected one for raw.answers"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a mapping with 'columns:'"),
        ("- a", "expected a mapping with 'columns:'"),
        ("columns: [a]", "columns is not a mapping"),
        ("columns: {}\ncolums: {}", "the mapping has no 'colums'; did you mean 'columns'?"),
        (
            "columns: {}\ntable: raw.answer",
            "expected raw.answers or raw.student_groups; did you mean 'raw.answers'?",
        ),
        ("columns: {}\ntable: [raw.answers]", "expected raw.answers"),
        ("columns: {student: u}", "raw.answers has no 'student'; did you mean 'student_id'?"),
        ("columns: {exam: {fro: u}}", "exam has no 'fro'; did you mean 'from'?"),
        ("columns: {exam: }", "exam is None; expected the log's column"),
        ("columns: {exam: [a, b]}", "{join: [...]}"),
        ("columns: {exam: {}}", "do not make one rule"),
        ("columns: {exam: {from: [a]}}", "exam: from is ['a']; expected one text"),
        ("columns: {exam: {join: []}}", "exam: join is []; expected a text or a list"),
        ("columns: {exam: {join: [a, {b: c}]}}", "exam: join is "),
        ("columns: {exam: {from: a, right: 1, wrong: 0}}", "exam is a STRING; right and wrong"),
        ("columns: {correct: {join: [a]}}", "correct is a INT64; join make a STRING"),
        ("columns: {correct: {from: a, right: 1}}", "do not make one rule"),
        ("columns: {correct: {from: a, right: [1, Yes], wrong: [yes]}}", "'yes' is both"),
        ("columns: {item_id: {constant: null}}", "item_id is NULL in every row"),
        ("columns: {answered_at: {from: a, unit: second}}", "did you mean 'seconds'?"),
        ("columns: {answered_at: {from: a, unit: ms, format: x}}", "do not make one rule"),
        ("columns: {answered_at: {from: a, seconds_after: soon}}", "seconds_after is 'soon'"),
        ("columns: {answered_at: {from: a, format: '%H:%M'}}", "states no full date"),
        ("columns: {answered_at: {from: a, format: '%Y-%m'}}", "states no full date"),
        ("columns: {answered_at: {from: a, format: '%Q'}}", "cannot be read"),
        (
            "columns: {answered_at: {from: a, timezone: Europe/Berln}}",
            "no timezone 'Europe/Berln'; expected a name such as Europe/Berlin; did you mean "
            "'Europe/Berlin'?",
        ),
        ("columns: {answered_at: {from: a, timezone: ../etc}}", "no timezone '../etc'"),
        ("columns: {exam: a, exam: b}", "'exam' stands twice"),
        ("columns: &c {exam: a}\ntable: *c", "anchors and aliases"),
        ("columns: {exam: !!python/object/apply:os.system [ls]}", "tag"),
        ("columns: {exam: !own x}", "tag"),
        ("columns: {exam: 'a}", "is not valid YAML"),
        ("columns: {? [a] : b}", "is not a name"),
        ("columns: " + "[" * 20_000, "nested too deeply"),
        ("columns: {exam: '" + "x" * 70_000 + "'}", "expected at most 65,536"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused(desk: Desk, text: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        desk.mapping(text)

    assert str(caught.value).startswith("log.yaml: ")
    assert "\n" not in str(caught.value)
    assert reason in str(caught.value)


def test_a_mapping_that_cannot_be_read_is_refused(desk: Desk) -> None:
    with pytest.raises(InputError, match=r"nope.yaml: cannot be read: No such file"):
        read_mapping(desk.folder / "nope.yaml")
    with pytest.raises(InputError, match=r"latin.yaml: is not UTF-8"):
        read_mapping(desk.file("latin.yaml", "columns: {exam: é}".encode("latin-1")))


# --- The page ------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[1] / "docs/inputs.md"


def block(language: str) -> str:
    """Return the page's first block in a language."""
    return PAGE.read_text().split(f"```{language}\n")[1].split("```")[0]


def test_the_log_and_mapping_of_the_page_belong_together(desk: Desk) -> None:
    rows = desk.convert(desk.file("log.csv", block("csv")), desk.mapping(block("yaml")))

    assert [(row["answer_id"], row["correct"], row["answered_at"]) for row in rows] == [
        ("ana-1", 1, utc("2024-03-04 08:12")),
        ("ana-2", 0, utc("2024-03-04 08:15")),
        ("ben-1", None, utc("2024-03-04 09:02")),
    ]


def test_every_rule_on_the_page_is_a_rule(desk: Desk) -> None:
    rules = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    rules = [rule for rule in rules if ": " in rule]

    assert len(rules) == 8
    for rule in rules:
        assert desk.mapping(f"columns:\n  {rule}").rules


def test_the_page_quotes_a_sentence_that_is_said(desk: Desk) -> None:
    assert desk.csv_refusal(*[ROW] * 16, "a17,ana,q17,maybe,") == block("text").strip()


def test_the_page_states_the_longest_row() -> None:
    assert f"A row is at most {checked_text.BLOCK_BYTES >> 20} MiB long" in PAGE.read_text()


def test_the_view_on_the_page_has_the_columns_of_the_table() -> None:
    import sqlglot

    view = sqlglot.parse_one(block("sql"), read="bigquery")

    source = load_sources()["raw.answers"]
    assert view.expression.named_selects == [column.name for column in source.columns]


# --- Into the warehouse --------------------------------------------------------------------


def test_a_file_replaces_the_rows_of_its_table(desk: Desk, warehouse: BigQueryAccessor) -> None:
    warehouse.create_dataset("raw")
    load_input(warehouse, "raw.answers", desk.file("old.csv", f"{HEADER}\n{ROW}\n{ROW}\n"))

    loaded = load_input(warehouse, "raw.answers", desk.file("log.csv", f"{HEADER}\n{ROW}\n"))

    rows = warehouse.query("SELECT * FROM raw.answers").records()
    assert loaded.rows == 1
    assert [row["answered_at"] for row in rows] == [datetime(2024, 3, 1, 9, tzinfo=UTC)]
    assert [(column.name, column.type) for column in warehouse.table("raw.answers").schema] == [
        (column.name, column.type) for column in load_sources()["raw.answers"].columns
    ]


def test_a_dataset_is_not_made_by_the_way(desk: Desk, warehouse: BigQueryAccessor) -> None:
    with pytest.raises(NotFound):
        load_input(warehouse, "raw.answers", desk.file("log.csv", f"{HEADER}\n{ROW}\n"))


def test_a_bad_row_leaves_the_table_as_it_was(desk: Desk, warehouse: BigQueryAccessor) -> None:
    warehouse.create_dataset("raw")
    load_input(warehouse, "raw.answers", desk.file("old.csv", f"{HEADER}\n{ROW}\n"))
    bad = desk.file("log.csv", f"{HEADER}\n{ROW}\na2,ana,q2,maybe,2024-03-01\n")

    with pytest.raises(InputError):
        load_input(warehouse, "raw.answers", bad)

    assert warehouse.query("SELECT answer_id FROM raw.answers").rows() == [["a1"]]


def test_a_full_disk_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.folder / "log.csv.gz"
    write(path, [{**RECORD, "answer_id": str(number * 7919)} for number in range(20_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(JobError, match=r"cannot be written to .*; set TMPDIR to a folder"):
            load_input(None, "raw.answers", path)  # type: ignore[arg-type]  # it is not reached
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_temporary_rows_are_gone_afterwards(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = desk.folder / "spare"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))

    with pytest.raises(InputError):
        load_input(None, "raw.answers", desk.file("log.csv", "x\n1\n"))  # type: ignore[arg-type]

    assert list(spare.iterdir()) == []


@pytest.mark.parametrize("kind", [JobError, InputError, ContractError, CalibrationError])
def test_errors_can_be_pickled(kind: type[JobError]) -> None:
    error = pickle.loads(pickle.dumps(kind("log.csv is empty")))

    assert type(error) is kind
    assert str(error) == "log.csv is empty"


# --- Writing what is read ------------------------------------------------------------------

RECORD: dict[str, Any] = {
    "answer_id": "a1",
    "student_id": "ana",
    "item_id": "q1",
    "correct": 1,
    "answered_at": "2024-03-01T09:00:00Z",
}


def write(path: Path, records: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(records), path)
        return
    if ".csv" in path.name:
        lines = [",".join(records[0])]
        lines += [",".join(map(cell, record.values())) for record in records]
    else:
        lines = [json.dumps(record, default=datetime.isoformat) for record in records]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def cell(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return '"' + text.replace('"', '""') + '"'
