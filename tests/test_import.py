"""What importing the package and making accessors costs: nothing that is not used."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gcp_accessor.backends.duckdb.warehouse import DuckDBWarehouse
from tests.stand_ins.bigquery import BigQueryStandIn

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    *("IPython", "duckdb", "google", "matplotlib", "numpy", "pandas", "pyarrow", "requests"),
    *("sqlglot", "tqdm"),
)
PREAMBLE = f"""
import sys

def check():
    heavy = sorted(name for name in sys.modules if name.partition(".")[0] in {HEAVY!r})
    assert not heavy, heavy

def forbid(event, args):
    if event in {{"socket.connect", "socket.getaddrinfo", "os.mkdir", "subprocess.Popen"}}:
        raise AssertionError(event)
"""


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_no_client_and_no_frame() -> None:
    run("import gcp_accessor; check()")


@pytest.mark.parametrize(
    "arguments", ["", "project='a-project', dataset='d'", "local='/nowhere/at/all'"]
)
def test_making_a_bigquery_accessor_imports_nothing_heavy_and_does_no_io(arguments: str) -> None:
    run(f"""
from gcp_accessor import BigQueryAccessor
sys.addaudithook(forbid)
accessor = BigQueryAccessor({arguments})
repr(accessor)
accessor.close()
check()
""")


@pytest.mark.parametrize("arguments", ["", "project='a-project'", "local='/nowhere/at/all'"])
def test_making_a_monitoring_accessor_imports_nothing_heavy_and_does_no_io(arguments: str) -> None:
    run(f"""
from gcp_accessor import MonitoringAccessor
sys.addaudithook(forbid)
accessor = MonitoringAccessor({arguments})
repr(accessor)
accessor.job("calibrate")
accessor.close()
check()
""")


def test_every_public_name_is_importable() -> None:
    run("""
import gcp_accessor
for name in gcp_accessor.__all__:
    getattr(gcp_accessor, name)
""")


def test_rows_are_read_from_google_without_pyarrow_or_pandas() -> None:
    run("""
for name in ("pandas", "pyarrow", "google.cloud.bigquery_storage"):
    sys.modules[name] = None
import gcp_accessor.backends.google.bigquery
from gcp_accessor.query_result import QueryResult
from gcp_accessor.backends import QueryStats
from gcp_accessor.errors import MissingExtra
from gcp_accessor.schema import Column

class Cursor:
    schema = (Column("n", "INT64"),)
    total_rows = 1
    stats = QueryStats("job", 0.0, 0, 0)
    def rows(self):
        yield [1]

result = QueryResult(Cursor(), "SELECT 1 AS n")
assert result.rows() == [[1]] and result.records() == [{"n": 1}] and result.scalar() == 1
for form in (result.to_arrow, result.to_dataframe, lambda: next(result.batches())):
    try:
        form()
    except MissingExtra as error:
        assert "pip install 'gcp-accessor[pandas]'" in str(error)
    else:
        raise AssertionError(form)
""")


@pytest.mark.parametrize("blocked", [(), ("IPython", "grpc", "numpy", "pandas", "pyarrow", "tqdm")])
def test_a_first_query_imports_nothing_heavy_that_googles_client_does_not(
    tmp_path: Path, blocked: tuple[str, ...]
) -> None:
    with BigQueryStandIn(DuckDBWarehouse(tmp_path)) as service:
        run(f"""
sys.modules.update(dict.fromkeys({blocked!r}))
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

client = bigquery.Client(
    project={service.project!r},
    credentials=AnonymousCredentials(),
    client_options={{"api_endpoint": {service.url!r}}},
)
# It imports pandas and pyarrow by itself, where they are installed.
theirs = set(sys.modules)
from gcp_accessor import BigQueryAccessor

with BigQueryAccessor(client=client) as warehouse:
    assert warehouse.query("SELECT @n AS n", {{"n": 1}}).rows() == [[1]]
heavy = {{"IPython", "duckdb", "numpy", "pandas", "pyarrow", "sqlglot", "tqdm"}}
ours = set(sys.modules) - theirs
added = [name for name in ours if name.partition(".")[0] in heavy]
google = [name for name in ours if name.startswith("google.cloud.")]
assert not added + google, added + google
""")
