"""Queries that are submitted, run once by a key, and held within a budget, on both backends."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions

from gcp_accessor.errors import CostLimitExceeded, LoadFailed, QueryTimeout

if TYPE_CHECKING:
    from pathlib import Path

    from gcp_accessor import BigQueryAccessor

# Minutes of work on any machine.
ENDLESS = """
SELECT COUNT(*) AS n
FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS a
CROSS JOIN UNNEST(GENERATE_ARRAY(1, 300000)) AS b
WHERE MOD(a * b, 7) = 3
"""


@pytest.fixture
def table(exams: BigQueryAccessor) -> BigQueryAccessor:
    """The dataset with a table of 100 rows, 800 bytes to a query of its one column."""
    exams.load([[n] for n in range(100)], "t", schema={"n": "INT64"})
    return exams


# --- submit -------------------------------------------------------------------------------


def test_a_submitted_query_gives_what_query_gives(exams: BigQueryAccessor) -> None:
    job = exams.submit("SELECT @n + 1 AS n", {"n": 1})

    result = job.result()

    assert result.records() == [{"n": 2}]
    assert job.done()
    assert result.stats.job_id == job.job_id
    assert job.result().rows() == [[2]]


def test_a_submitted_query_writes_its_destination(exams: BigQueryAccessor) -> None:
    jobs = [
        exams.submit("SELECT @n AS n", {"n": n}, destination="t", if_exists="append")
        for n in range(3)
    ]

    assert [job.result().rows() for job in jobs] == [[], [], []]
    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[0], [1], [2]]


def test_a_wrong_statement_fails_when_it_is_submitted_or_when_it_is_waited_for(
    exams: BigQueryAccessor,
) -> None:
    with pytest.raises(exceptions.BadRequest):
        exams.submit("SELEC 1").result()
    with pytest.raises(exceptions.NotFound) as caught:
        exams.submit("SELECT * FROM nowhere").result()

    assert caught.value.__notes__


def test_a_handle_may_be_waited_for_by_several_threads(exams: BigQueryAccessor) -> None:
    job = exams.submit("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1000)) AS n ORDER BY n")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: job.result().rows(), range(8)))

    assert all(rows == [[n] for n in range(1, 1001)] for rows in results)


def test_a_handle_says_what_is_known_without_asking(exams: BigQueryAccessor) -> None:
    job = exams.submit("SELECT 1 AS n")
    before = repr(job)
    job.result()

    assert before == f"<QueryJob {job.job_id}: submitted 0 s ago>"
    assert repr(job) == f"<QueryJob {job.job_id}: done>"


def test_waiting_for_a_job_may_be_given_up_and_the_job_goes_on(exams: BigQueryAccessor) -> None:
    job = exams.submit(ENDLESS)

    with pytest.raises(TimeoutError, match=r"not ended within 0\.2 seconds; it goes on") as caught:
        job.result(timeout=0.2)

    assert not isinstance(caught.value, QueryTimeout)
    assert not job.done()
    job.cancel()


def test_a_cancelled_job_ends_as_cancelled_and_writes_nothing(exams: BigQueryAccessor) -> None:
    job = exams.submit(ENDLESS, destination="t")
    began = time.monotonic()
    waiting = ThreadPoolExecutor(1)
    waiter = waiting.submit(job.result)

    job.cancel()

    for result in (waiter.result, job.result):
        with pytest.raises(exceptions.Cancelled, match="cancelled"):
            result()
    waiting.shutdown()
    assert time.monotonic() - began < 20
    assert job.done()
    assert repr(job) == f"<QueryJob {job.job_id}: Cancelled>"
    assert exams.tables() == []


def test_a_job_that_has_ended_is_not_cancelled(exams: BigQueryAccessor) -> None:
    job = exams.submit("SELECT 1 AS n")
    job.result()

    job.cancel()

    assert job.result().scalar() == 1


def test_a_job_out_of_its_time_is_cancelled(exams: BigQueryAccessor) -> None:
    with pytest.raises(QueryTimeout, match="cancelled"):
        exams.query(ENDLESS, destination="t", timeout=0.4)
    job = exams.submit(ENDLESS, destination="t", timeout=0.4)
    with pytest.raises(QueryTimeout, match="cancelled"):
        job.result(timeout=30)

    assert exams.tables() == []


# --- changes of rows ----------------------------------------------------------------------


def test_a_change_of_rows_says_how_many(table: BigQueryAccessor) -> None:
    changes = {
        "INSERT INTO t (n) VALUES (200), (201)": 2,
        "UPDATE t SET n = n + 1 WHERE n < 5": 5,
        "DELETE FROM t WHERE n > 150": 2,
        "DELETE FROM t WHERE n > 150 AND n < 100": 0,
        """
        MERGE t USING (SELECT 99 AS n UNION ALL SELECT 500) AS s ON t.n = s.n
        WHEN MATCHED THEN DELETE
        WHEN NOT MATCHED THEN INSERT (n) VALUES (n)
        """: 2,
        "CREATE TABLE u (n INT64)": None,
        "SELECT n FROM t": None,
    }

    affected = {sql: table.query(sql).stats.rows_affected for sql in changes}

    assert affected == changes


# --- run once -----------------------------------------------------------------------------


def test_a_statement_under_a_key_takes_effect_once(exams: BigQueryAccessor) -> None:
    sql = "SELECT @n AS n"

    runs = [
        exams.query(
            sql, {"n": 7}, destination="t", if_exists="append", idempotency_key="answers/2024-03-01"
        )
        for _ in range(3)
    ]

    assert exams.query("SELECT n FROM t").rows() == [[7]]
    assert len({run.stats.job_id for run in runs}) == 1


def test_a_change_of_rows_under_a_key_happens_once_and_is_told_each_time(
    table: BigQueryAccessor,
) -> None:
    sql = "UPDATE t SET n = n + 1 WHERE n < 10"

    runs = [table.query(sql, idempotency_key="add") for _ in range(2)]

    assert table.query("SELECT SUM(n) AS n FROM t").scalar() == sum(range(100)) + 10
    assert [run.stats.rows_affected for run in runs] == [10, 10]


def test_a_query_under_a_key_gives_its_rows_each_time(exams: BigQueryAccessor) -> None:
    rows = [
        exams.query("SELECT @n AS n", {"n": 7}, idempotency_key="seven").rows() for _ in range(2)
    ]

    assert rows == [[[7]], [[7]]]


def test_the_same_key_submitted_at_once_is_one_job(exams: BigQueryAccessor) -> None:
    def submit(_: int) -> str:
        job = exams.submit(
            "SELECT 1 AS n", destination="t", if_exists="append", idempotency_key="k"
        )
        return job.result().stats.job_id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(submit, range(4)))

    assert len(ids) == 1
    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 1


@pytest.mark.parametrize(
    ("sql", "n", "destination"),
    [("SELECT @n AS m", 1, "t"), ("SELECT @n AS n", 2, "t"), ("SELECT @n AS n", 1, "u")],
    ids=["another statement", "another value", "another destination"],
)
def test_a_key_of_something_else_is_a_conflict(
    exams: BigQueryAccessor, sql: str, n: int, destination: str
) -> None:
    exams.query("SELECT @n AS n", {"n": 1}, destination="t", idempotency_key="once")

    with pytest.raises(exceptions.Conflict) as caught:
        exams.query(sql, {"n": n}, destination=destination, idempotency_key="once")

    assert any("belongs to another statement" in note for note in caught.value.__notes__)
    assert exams.query("SELECT n FROM t").rows() == [[1]]


def test_a_key_is_good_for_another_attempt_after_a_failure(exams: BigQueryAccessor) -> None:
    def attempt() -> None:
        exams.query("SELECT n FROM s", destination="t", if_exists="append", idempotency_key="try")

    for _ in range(2):
        with pytest.raises(exceptions.NotFound):
            attempt()
    exams.load([{"n": 1}], "s")
    for _ in range(2):
        attempt()

    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 1


def test_a_key_is_good_for_another_attempt_after_a_cancellation(exams: BigQueryAccessor) -> None:
    sql = f"SELECT n + @n AS n FROM ({ENDLESS})"
    job = exams.submit(sql, {"n": 1}, destination="t", idempotency_key="k")
    job.cancel()
    with pytest.raises(exceptions.Cancelled):
        job.result()

    again = exams.submit(sql, {"n": 1}, destination="t", idempotency_key="k")

    assert not again.done()
    again.cancel()


def test_keys_that_look_alike_in_an_id_are_apart(exams: BigQueryAccessor) -> None:
    for key in ("a/b", "a b", "a-b", "ä"):
        exams.query("SELECT 1 AS n", destination="t", if_exists="append", idempotency_key=key)

    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 4


@pytest.mark.parametrize("key", ["", "x" * 501])
def test_a_key_that_is_no_key_is_refused(exams: BigQueryAccessor, key: str) -> None:
    with pytest.raises(ValueError, match="expected a text of 1 to 500 letters"):
        exams.query("SELECT 1 AS n", idempotency_key=key)


def test_a_copy_takes_effect_once_under_its_key(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}], "s")

    for _ in range(2):
        exams.copy("s", "t", if_exists="append", idempotency_key="k")
    exams.copy("s", "t", if_exists="append", idempotency_key="l")

    assert exams.query("SELECT COUNT(*) AS n FROM t").scalar() == 2
    with pytest.raises(exceptions.Conflict):
        exams.copy("s", "u", if_exists="append", idempotency_key="k")


def test_the_keys_are_no_dataset_and_no_table(exams: BigQueryAccessor) -> None:
    exams.query("SELECT 1 AS n", destination="t", idempotency_key="k")

    assert exams.datasets() == ["exams"]
    assert exams.tables() == ["t"]


# --- budgets ------------------------------------------------------------------------------


def test_a_budget_counts_what_its_queries_read(table: BigQueryAccessor) -> None:
    table.query("SELECT n FROM t")
    with table.budget(2000) as budget:
        table.query("SELECT n FROM t")
        table.submit("SELECT n FROM t").result()
        spent = budget.spent
        with pytest.raises(CostLimitExceeded, match="800") as caught:
            table.query("SELECT n FROM t", destination="u")
    table.query("SELECT n FROM t")

    assert spent == budget.spent == 1600
    assert budget.left == 400
    assert any("400 bytes were left of the budget" in note for note in caught.value.__notes__)
    assert table.tables() == ["t"]
    assert repr(budget) == "<Budget: 1.6 KiB of 2.0 KiB spent>"


def test_a_budget_that_is_used_up_says_so(table: BigQueryAccessor) -> None:
    with table.budget(800) as budget:
        table.query("SELECT n FROM t")

        with pytest.raises(CostLimitExceeded, match="800 bytes has nothing left") as caught:
            table.query("SELECT n FROM t")

    assert budget.left == 0
    assert "give budget() more bytes" in caught.value.__notes__[0]


def test_a_query_that_fails_costs_a_budget_nothing(table: BigQueryAccessor) -> None:
    with table.budget(1000) as budget:
        with pytest.raises(exceptions.NotFound):
            table.query("SELECT n FROM nowhere")
        with pytest.raises(CostLimitExceeded):
            table.query("SELECT n FROM t", max_bytes_billed=100)

    assert (budget.spent, budget.left) == (0, 1000)


def test_a_cancelled_query_is_charged_all_it_could_have_billed(table: BigQueryAccessor) -> None:
    with table.budget(1000) as budget:
        job = table.submit(ENDLESS, max_bytes_billed=600)
        held = budget.left
        job.cancel()
        with pytest.raises(exceptions.Cancelled):
            job.result()

    assert (held, budget.spent) == (400, 600)


def test_a_submitted_job_holds_its_limit_until_it_has_ended(table: BigQueryAccessor) -> None:
    with table.budget(2000) as budget:
        job = table.submit(ENDLESS)
        with pytest.raises(CostLimitExceeded, match="are held by 1 that still run") as caught:
            table.submit("SELECT n FROM t")
        said = repr(budget)
        job.cancel()

    assert said == "<Budget: 0 bytes of 2.0 KiB spent, 2.0 KiB held by 1 that run>"
    assert "max_bytes_billed=" in caught.value.__notes__[0]


def test_what_was_submitted_is_charged_when_the_next_one_needs_its_bytes(
    table: BigQueryAccessor,
) -> None:
    with table.budget(1700) as budget:
        job = table.submit("SELECT n FROM t")
        # Nobody asks for the job's result; the next query waits for its turn.
        assert table.query("SELECT n FROM t").total_rows == 100

    assert budget.spent == 1600
    assert job.done()


def test_a_query_waits_for_its_turn_no_longer_than_its_time(table: BigQueryAccessor) -> None:
    with table.budget(2000):
        job = table.submit(ENDLESS)
        with pytest.raises(CostLimitExceeded, match="are held by 1 that still run"):
            table.query("SELECT n FROM t", timeout=0.3)
        job.cancel()


def test_of_nested_budgets_the_tighter_one_counts_and_both_are_charged(
    table: BigQueryAccessor,
) -> None:
    with table.budget(10_000) as outer:
        table.query("SELECT n FROM t")
        with table.budget(1000) as inner:
            table.query("SELECT n FROM t")
            with pytest.raises(CostLimitExceeded):
                table.query("SELECT n FROM t")
        table.query("SELECT n FROM t")

    assert (outer.spent, inner.spent) == (2400, 800)


def test_workers_that_a_block_has_started_are_charged_to_its_budget(
    table: BigQueryAccessor,
) -> None:
    with table.budget(4000) as budget, ThreadPoolExecutor(3) as pool:
        # Without a limit of their own they take turns.
        list(pool.map(lambda _: table.query("SELECT n FROM t").rows(), range(4)))

    assert budget.spent == 3200


def test_threads_with_budgets_of_their_own_are_charged_to_those_alone(
    table: BigQueryAccessor,
) -> None:
    both = threading.Barrier(2, timeout=20)

    def spend(queries: int) -> int:
        with table.budget(5000) as budget:
            both.wait()
            for _ in range(queries):
                table.query("SELECT n FROM t")
            both.wait()
            return budget.spent

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(spend, [1, 3])) == [800, 2400]


def test_tasks_with_budgets_of_their_own_are_charged_to_those_alone(
    table: BigQueryAccessor,
) -> None:
    async def spend(queries: int) -> int:
        with table.budget(5000) as budget:
            for _ in range(queries):
                await asyncio.to_thread(table.query, "SELECT n FROM t")
            return budget.spent

    async def both() -> list[int]:
        return await asyncio.gather(spend(1), spend(2))

    assert asyncio.run(both()) == [800, 1600]


def test_another_accessor_is_in_no_budget_of_this_one(
    table: BigQueryAccessor,
) -> None:
    from gcp_accessor import BigQueryAccessor

    other = BigQueryAccessor(local=table.local, client=table._client, dataset="exams")

    with table.budget(1) as budget, other:
        assert other.query("SELECT n FROM t").total_rows == 100

    assert budget.spent == 0


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, True, "1GB"])
def test_a_budget_is_a_number_of_bytes(exams: BigQueryAccessor, max_bytes: object) -> None:
    with pytest.raises(ValueError, match="expected bytes, at least 1"), exams.budget(max_bytes):  # type: ignore[arg-type]
        pass


# --- estimates and time -------------------------------------------------------------------


def test_an_estimate_says_which_statement_it_is(table: BigQueryAccessor) -> None:
    assert table.estimate("SELECT n FROM t").statement_type == "SELECT"


def test_the_clock_of_a_wait_is_drawn_only_where_it_is_wanted(
    table: BigQueryAccessor, capfd: pytest.CaptureFixture[str]
) -> None:
    table.query("SELECT 1 AS n")
    quiet = capfd.readouterr().err
    table.progress = "on"
    table.query("SELECT 1 AS n")
    table.submit("SELECT 1 AS n").result()

    assert quiet == ""
    assert "query" in capfd.readouterr().err


# --- loads under a key --------------------------------------------------------------------


def test_a_load_under_a_key_loads_once(exams: BigQueryAccessor) -> None:
    counts = [
        exams.load([{"n": n}, {"n": n + 1}], "t", if_exists="append", idempotency_key="day/1")
        for n in (1, 5)
    ]

    assert counts == [2, 2]
    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[1], [2]]


def test_a_load_of_files_under_a_key_loads_once(exams: BigQueryAccessor, bucket: Path) -> None:
    (bucket / "a.csv").write_text("1\n2\n")
    (bucket / "b.csv").write_text("3\n")

    def load(uri: str) -> int:
        return exams.load(
            uri, "t", schema={"n": "INT64"}, if_exists="append", idempotency_key="files"
        )

    counts = [load("gs://bucket/a.csv") for _ in range(2)]

    with pytest.raises(exceptions.Conflict):
        load("gs://bucket/b.csv")
    assert counts == [2, 2]
    assert exams.query("SELECT n FROM t ORDER BY n").rows() == [[1], [2]]


def test_a_load_that_failed_may_be_tried_again_under_its_key(
    exams: BigQueryAccessor, bucket: Path
) -> None:
    (bucket / "a.csv").write_text("1\nx\n")

    def load() -> int:
        return exams.load(
            "gs://bucket/a.csv",
            "t",
            schema={"n": "INT64"},
            if_exists="append",
            idempotency_key="files",
        )

    with pytest.raises(LoadFailed):
        load()
    (bucket / "a.csv").write_text("1\n")

    assert [load(), load()] == [1, 1]
    assert exams.query("SELECT n FROM t").rows() == [[1]]


def test_a_key_of_a_load_is_no_key_of_a_query(exams: BigQueryAccessor) -> None:
    exams.load([{"n": 1}], "t", idempotency_key="k")

    with pytest.raises(exceptions.Conflict):
        exams.query("SELECT 1 AS n", destination="u", idempotency_key="k")
