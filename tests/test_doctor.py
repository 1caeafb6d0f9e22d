"""`gcp-accessor doctor` with accounts that work, that do not, and with no network at all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import google.auth.iam
import pytest
from google.oauth2 import credentials as people

from gcp_accessor import BigQueryAccessor, CloudStorageAccessor
from gcp_accessor.cli import main
from gcp_accessor.doctor import Examination, account, examine, installation
from gcp_accessor.doctor.finding import Finding, TookTooLong, begin
from gcp_accessor.doctor.report import as_text
from gcp_accessor.doctor.services import Addresses
from tests.stand_ins.front_door import ACCOUNT, PERSON, FrontDoor
from tests.stand_ins.identity import IdentityStandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALL = {
    "bigquery.jobs.create",
    "bigquery.datasets.get",
    "monitoring.metricDescriptors.list",
    *(f"storage.objects.{each}" for each in ("list", "get", "create", "delete")),
}
NO_ANSWER = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _nobody_signed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
        *("GCP_ACCESSOR_LOCAL", "HTTP_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        *("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    # Whatever would leave this machine meets a proxy that is not there.
    monkeypatch.setenv("HTTPS_PROXY", NO_ANSWER)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("COLUMNS", "110")
    # The others are timed where the command runs in a process of its own.
    monkeypatch.setattr(installation, "_IMPORTS", {"gcp_accessor": "gcp_accessor"})


@pytest.fixture
def front() -> Iterator[FrontDoor]:
    with FrontDoor(permissions=set(ALL), datasets={"exams"}, buckets={"lessons"}) as door:
        yield door


@pytest.fixture
def signed_in(front: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrontDoor:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(front.write_key(tmp_path)))
    return front


def look(front: FrontDoor, **asked: object) -> dict[str, Finding]:
    addresses = Addresses(front.url, front.url, front.url)
    examination = examine(addresses=addresses, **asked)  # type: ignore[arg-type]
    return {finding.title: finding for finding in examination.findings}


@dataclass(frozen=True)
class Said:
    code: int
    text: str

    @property
    def words(self) -> str:
        """The text without its lines' folds."""
        return " ".join(self.text.split())


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*arguments: str) -> Said:
        code = main(["doctor", *arguments])
        return Said(code, capsys.readouterr().out)

    return call


def in_a_process(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gcp_accessor", "doctor"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


# --- Signed in ----------------------------------------------------------------------------


def test_all_is_good_for_an_account_that_may_do_everything(signed_in: FrontDoor) -> None:
    found = look(signed_in, dataset="exams", bucket="lessons")

    # The proxy of these tests is worth a note.
    assert {title for title, finding in found.items() if finding.state != "good"} == {"proxy"}
    assert found["account"].text.startswith(f"{ACCOUNT}, a service account with a key, from GOOGLE")
    assert found["project"].text == "lessons-123 pays, from the credentials"
    assert found["BigQuery"].text == "the dataset exams is there, in EU"
    assert "you may list, get, create, delete objects" in found["Cloud Storage"].text


def test_a_project_that_is_named_pays_and_the_accounts_own_is_told(
    signed_in: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "payer-1")

    from_environment = look(signed_in)["project"].text
    from_argument = look(signed_in, project="payer-2")["project"].text

    own = "; the account is of another project, lessons-123"
    assert from_environment == f"payer-1 pays, from GOOGLE_CLOUD_PROJECT{own}"
    assert from_argument == f"payer-2 pays, from --project{own}"


def test_an_api_that_is_off_is_told_with_the_command_that_switches_it_on(
    signed_in: FrontDoor,
) -> None:
    signed_in.disabled.add("bigquery.googleapis.com")

    finding = look(signed_in)["BigQuery"]

    assert finding.state == "bad"
    assert finding.advice == (
        "gcloud services enable bigquery.googleapis.com --project lessons-123",
    )


def test_a_permission_that_is_missing_is_told_with_its_role(signed_in: FrontDoor) -> None:
    signed_in.permissions -= {
        *("bigquery.jobs.create", "storage.objects.delete", "monitoring.metricDescriptors.list")
    }

    found = look(signed_in, bucket="lessons")

    assert found["BigQuery"].state == "bad"
    assert found["BigQuery"].advice == ("the account needs roles/bigquery.jobUser",)
    assert found["Cloud Storage"].state == "note"
    assert "roles/storage.objectUser on gs://lessons" in found["Cloud Storage"].advice[0]
    # Without metrics everything else works.
    assert found["Monitoring"].state == "note"


def test_a_dataset_and_a_bucket_that_are_not_there_are_told(signed_in: FrontDoor) -> None:
    found = look(signed_in, dataset="nothing", bucket="nothing")

    assert "Not found: Dataset lessons-123:nothing" in found["BigQuery"].text
    assert "The specified bucket does not exist." in found["Cloud Storage"].text
    assert found["BigQuery"].state == found["Cloud Storage"].state == "bad"


def test_a_clock_that_is_wrong_is_named_as_the_reason(signed_in: FrontDoor) -> None:
    signed_in.clock_ahead = 3600

    found = look(signed_in)

    assert found["account"].state == "bad"
    assert "clock is wrong" in found["account"].advice[0]
    assert found["clock"].state == "bad"
    assert found["clock"].text.endswith("s behind Google's")
    assert "3,6" in found["clock"].text or "3,599" in found["clock"].text


def test_a_person_is_named_and_whose_quota_counts(
    front: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "user.json"
    info = {"type": "authorized_user", "client_id": "a", "client_secret": "b"}
    info |= {"refresh_token": "c", "quota_project_id": "quota-1"}
    path.write_text(json.dumps(info), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    # Only the addresses differ from Google's.
    monkeypatch.setattr(people, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{front.url}/token")
    monkeypatch.setattr(account, "_USERINFO", f"{front.url}/v1/userinfo")

    found = look(front, project="payer-1")
    monkeypatch.setattr(account, "_USERINFO", f"{NO_ANSWER}/v1/userinfo")
    unnamed = look(front, project="payer-1")

    assert found["account"].text.startswith(f"{PERSON}, a person's account, from GOOGLE_APPLICAT")
    assert unnamed["account"].text.startswith("a person's account, from GOOGLE_APPLICATION")
    assert unnamed["account"].state == "good"
    assert found["project"].text == (
        "payer-1 pays, from --project; requests count against the quota of quota-1"
    )


def test_an_account_that_is_impersonated_is_named_or_the_role_that_it_takes(
    front: FrontDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot, etl = "robot@p.iam.gserviceaccount.com", "etl@p.iam.gserviceaccount.com"
    with IdentityStandIn() as identity:
        key = identity.key_file(tmp_path, robot)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        monkeypatch.setattr(google.auth.iam, "_IAM_ENDPOINT", identity.impersonation_url)

        refused = look(front, impersonate=[etl])["account"]
        identity.may_act_as = {etl: {robot}}
        allowed = look(front, impersonate=[etl])["account"]

    assert refused.state == "bad"
    assert f"to act as {etl} takes roles/iam.serviceAccountTokenCreator" in refused.advice[0]
    assert allowed.state == "good"
    assert allowed.text.startswith(f"{etl}, impersonated, from GOOGLE_APPLICATION_CREDENTIALS")


def test_a_deleted_account_gets_no_token_and_is_told_what_to_do(signed_in: FrontDoor) -> None:
    signed_in.deleted = True

    found = look(signed_in)

    assert found["account"].state == "bad"
    assert "account not found" in found["account"].text
    assert "gcloud auth application-default login" in " ".join(found["account"].advice)
    assert "an account and a project would show" in found["BigQuery"].text


def test_a_login_page_in_googles_place_is_not_taken_for_google(front: FrontDoor) -> None:
    front.html = True

    found = look(front)

    assert found["BigQuery"].state == found["Cloud Storage"].state == "bad"
    assert "something other than Google answers" in found["BigQuery"].text


def test_no_secret_is_shown(
    signed_in: FrontDoor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    doctor: Callable[..., Said],
) -> None:
    key = json.loads((tmp_path / "key.json").read_text(encoding="utf-8"))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", signed_in.url)
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:hunter2@127.0.0.1:9")

    shown = doctor("--json").text

    assert "http://127.0.0.1:9" in shown
    assert ACCOUNT in shown
    for secret in ("hunter2", "a-token", key["private_key"][30:60]):
        assert secret not in shown


# --- The command line ---------------------------------------------------------------------


def test_the_command_ends_with_0_where_everything_needed_works(
    signed_in: FrontDoor, monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., Said]
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", signed_in.url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", signed_in.url)

    said = doctor("--json")

    told = json.loads(said.text)
    states = {finding["title"]: finding["state"] for finding in told["findings"]}
    assert said.code == 0, said.text
    assert told["usable"] is True
    # Before the real one stands the proxy.
    assert states["Monitoring"] == "note"


def test_without_credentials_it_says_how_to_get_some() -> None:
    done = in_a_process()

    assert done.returncode == 1
    assert "✗ account        none found\n" in done.stdout
    assert "> sign in: gcloud auth application-default login" in done.stdout
    assert "> or work without a cloud: GCP_ACCESSOR_LOCAL=some-folder" in done.stdout
    assert re.search(r"BigQuery's client \d", " ".join(done.stdout.split()))
    assert done.stdout.endswith("Broken: account, BigQuery, Cloud Storage.\n")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "was not found"),
        ("{oops", "is not a valid json file"),
        ('{"web": {}}', "does not have a valid type"),
        (
            '{"type": "service_account", "client_email": "x@y", "token_uri": "http://t",'
            ' "private_key": "nope"}',
            "Failed to load service account credentials",
        ),
    ],
    ids=["missing", "malformed", "of another kind", "bad key"],
)
def test_wrong_credentials_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    doctor: Callable[..., Said],
    content: str | None,
    told: str,
) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    said = doctor()

    assert said.code == 1
    assert "✗ account the credentials cannot be used: " in said.words
    assert told in said.words
    assert "> correct GOOGLE_APPLICATION_CREDENTIALS, or unset it and sign in" in said.words


def test_offline_it_says_what_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., Said]
) -> None:
    path = tmp_path / "user.json"
    info = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    path.write_text(json.dumps(info), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    said = doctor("--project", "p")

    assert said.code == 1
    assert "gets no token: Google's sign-in is not reached" in said.words
    assert "✗ BigQuery the proxy does not lead to https://bigquery.googleapis.com" in said.words
    # What helps all three is said once.
    assert said.words.count("> correct HTTPS_PROXY") == 1


def test_a_reader_without_the_marks_gets_plain_ones() -> None:
    shown = as_text(Examination((Finding("Part", "title", "bad", "text"),)), "ascii")

    assert shown == "Part\n  x title  text\n\nBroken: title."


def test_a_folder_takes_googles_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., Said]
) -> None:
    BigQueryAccessor(local=tmp_path).create_dataset("exams")
    CloudStorageAccessor(local=tmp_path).create_bucket("lessons")
    monkeypatch.setenv("GCP_ACCESSOR_LOCAL", str(tmp_path))

    said = doctor()

    assert said.code == 0
    assert f"{tmp_path}, from GCP_ACCESSOR_LOCAL; " in said.words
    assert "datasets: exams" in said.words
    assert "✓ buckets lessons" in said.words
    assert "Google Cloud" not in said.words


def test_looking_at_a_folder_makes_nothing(tmp_path: Path, doctor: Callable[..., Said]) -> None:
    said = doctor("--local", str(tmp_path / "new"))

    assert said.code == 0
    assert "it is made on first use" in said.words
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_and_a_broken_warehouse_are_told(
    tmp_path: Path, doctor: Callable[..., Said]
) -> None:
    (tmp_path / "warehouse.duckdb").write_bytes(b"not a database" * 1000)

    broken = doctor("--local", str(tmp_path))
    misplaced = doctor("--local", str(tmp_path / "warehouse.duckdb" / "x"))

    assert broken.code == misplaced.code == 1
    assert broken.text.endswith("Broken: warehouse.\n")
    assert "warehouse.duckdb is a file" in misplaced.words


@pytest.mark.parametrize(
    "arguments", [["--local", "x", "--project", "y"], ["--verbose"], ["nothing"], []]
)
def test_misuse_is_told_in_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = arguments if arguments[:1] == ["nothing"] or not arguments else ["doctor", *arguments]

    with pytest.raises(SystemExit) as caught:
        main(command)

    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


# --- Parts --------------------------------------------------------------------------------


def test_an_extra_that_lacks_a_package_is_told_with_its_pip_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = installation.version

    def version(name: str) -> str:
        if name == "pandas":
            raise installation.PackageNotFoundError(name)
        return "4.0" if name == "tqdm" else there(name)

    monkeypatch.setattr(installation, "version", version)

    found = {finding.title: finding for finding in installation.packages()}

    assert found["[pandas]"].text == "lacks pandas"
    assert found["[pandas]"].advice == ("pip install 'gcp-accessor[pandas]'",)
    assert found["[progress]"].text.startswith("lacks tqdm>=")
    assert found["[local]"].state == "good"
    assert "[all]" not in found


def test_what_hangs_is_given_up_in_time() -> None:
    pending = begin(lambda: time.sleep(60))

    with pytest.raises(TookTooLong, match="no answer within"):
        pending.result(0.05)


def test_what_fails_in_its_thread_fails_where_it_is_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        begin(lambda: 1 // 0).result(5)


def test_long_lines_are_folded_below_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    finding = Finding("Part", "title", "bad", "word " * 12, ("do " * 20,))

    lines = as_text(Examination((finding,)), "utf-8").splitlines()

    assert lines[0] == "Part"
    assert lines[1].startswith("  ✗ title  word")
    assert lines[2].startswith("           word")
    assert max(map(len, lines)) <= 40
