"""What is deployed: the jobs' choices, what Terraform is told of them, and what it would make."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2
import pytest

from etl_jobs.cli import main
from etl_jobs.deployment import read_deployment
from etl_jobs.errors import InputError
from etl_jobs.job import Jobs
from etl_jobs.telemetry.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DAY = date(2026, 3, 31)


@pytest.fixture(scope="module")
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture(scope="module")
def variables(jobs: Jobs) -> dict[str, Any]:
    return read_deployment(DEPLOY / "jobs.yaml", jobs, DAY)


# --- What Terraform is told ----------------------------------------------------------------


def test_what_terraform_is_told_is_what_the_contracts_say(variables: dict[str, Any]) -> None:
    written = json.loads((DEPLOY / "jobs.auto.tfvars.json").read_text())

    assert written == variables, (
        "run: etl-jobs deployment deploy/jobs.yaml --output deploy/jobs.auto.tfvars.json"
    )


def test_the_command_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployment", str(DEPLOY / "jobs.yaml")]) == 0
    printed = capsys.readouterr().out
    assert main(["deployment", str(DEPLOY / "jobs.yaml"), "--output", f"{tmp_path}/x.json"]) == 0

    assert json.loads(printed) == json.loads((tmp_path / "x.json").read_text())


def test_a_job_is_told_to_run_with_the_parameters_that_were_chosen(
    jobs: Jobs, tmp_path: Path
) -> None:
    deployed = read(jobs, tmp_path, {"dif/mantel_haenszel": "{set: {reference: a, focal: b}}"})

    assert deployed["jobs"]["dif-mantel-haenszel"]["arguments"] == [
        *("run", "dif/mantel_haenszel", "--set", "reference=a", "--set", "focal=b")
    ]
    assert deployed["jobs"]["dif-mantel-haenszel"]["schedule"] is None


def test_an_alert_watches_every_bound_of_every_metric_but_success(
    variables: dict[str, Any],
) -> None:
    bounds = {
        (metric.name, threshold)
        for metric in METRICS
        for threshold in (metric.below, metric.above)
        if threshold is not None
    }

    watched = {(each["metric"], each["threshold"]) for each in variables["alerts"].values()}
    assert bounds - watched == {("success", 1)}
    assert watched <= bounds


CHOICES = "cpu: 1, memory: 2 GiB, timeout: 1h, retries: 3, tasks: 1"


def read(jobs: Jobs, folder: Path, wanted: dict[str, str], defaults: str = CHOICES) -> Any:
    path = folder / "jobs.yaml"
    lines = [f"  {name}: {choices}" for name, choices in wanted.items()]
    path.write_text("\n".join([f"defaults: {{{defaults}}}", "jobs:", *lines, ""]))
    return read_deployment(path, jobs, DAY)


@pytest.mark.parametrize(
    ("job", "choices", "problem"),
    [
        ("calibrte", "{}", "there is no job 'calibrte'; did you mean calibrate?"),
        ("calibrate", "{schedle: x}", "calibrate has no 'schedle'; did you mean 'schedule'?"),
        ("calibrate", "{set: {model: 5PL}}", "the parameter model is '5PL'; expected Rasch or"),
        ("calibrate", "{set: {modle: 2PL}}", "there is no parameter 'modle'"),
        ("calibrate", "{set: [a]}", "set is ['a']; expected a mapping of parameters to texts"),
        ("dif/mantel_haenszel", "{}", "needs --set"),
        ("calibrate", "{memory: 2GB}", "memory is '2GB'; expected whole MiB or GiB"),
        ("calibrate", "{memory: 5 GiB}", "Cloud Run gives 512 MiB to 4 GiB to 1 CPU"),
        ("calibrate", "{memory: much}", "'much' is not a size"),
        ("calibrate", "{cpu: 3}", "cpu is 3; Cloud Run has 1, 2, 4, 6, 8"),
        ("calibrate", "{cpu: 0}", "cpu is 0; Cloud Run takes 1 to 8"),
        ("calibrate", "{cpu: half}", "cpu is 'half'; expected a whole number"),
        ("calibrate", "{timeout: 200h}", "timeout is 200h; Cloud Run takes up to 168h"),
        ("calibrate", "{timeout: 1 day}", "timeout is '1 day'; expected for example 90m or 6h"),
        ("calibrate", "{timeout: 0s}", "Cloud Run takes up to 168h"),
        ("calibrate", "{retries: 11}", "retries is 11; Cloud Run takes 0 to 10"),
        ("calibrate", "{tasks: 0}", "tasks is 0; Cloud Run takes 1 to 10,000"),
        ("calibrate", "{schedule: daily}", "schedule is 'daily'; expected minute, hour"),
        ("calibrate", "{schedule: 1 2 30 2 *}", "a day that never comes"),
        ("calibrate", "{schedule: 61 2 * * *}", "'61' is no minute, which is 0 to 59"),
        ("calibrate", "{schedule: 1 5-2 * * *}", "'5-2' is no hour"),
        ("calibrate", "{schedule: 1 2 * * */0}", "'*/0' is no day of the week"),
        ("calibrate", "{schedule: 1 2 0 * *}", "'0' is no day of the month, which is 1 to 31"),
        ("calibrate", "[]", "calibrate is []; expected a mapping"),
    ],
)
def test_what_cannot_be_deployed_is_refused_in_one_sentence(
    job: str, choices: str, problem: str, jobs: Jobs, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(problem)) as caught:
        read(jobs, tmp_path, {job: choices})

    assert str(caught.value).startswith("jobs.yaml: ")


def test_a_job_without_memory_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calibrate has no memory, and the defaults have none"):
        read(jobs, tmp_path, {"calibrate": "{}"}, "cpu: 1, timeout: 1h, retries: 3, tasks: 1")


def test_a_job_has_room_for_the_jobs_that_it_may_have_to_run(jobs: Jobs, tmp_path: Path) -> None:
    large = "{cpu: 4, memory: 16 GiB, timeout: 6h}"

    with pytest.raises(InputError, match="abilities/students has 2048 memory mebibytes and"):
        read(jobs, tmp_path, {"calibrate": large, "abilities/students": "{}"})

    assert read(jobs, tmp_path, {"calibrate": large, "abilities/students": large})


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("15 2 * * *", 26),
        ("0 */6 * * *", 26),
        ("0 8 * * 1", 7 * 24 + 2),
        ("0 8 * * 1-5", 3 * 24 + 2),
        ("0 8 1 * *", 31 * 24 + 2),
        ("0 8 1,15 * *", 17 * 24 + 2),
        # Either the thirteenth or a Friday, as cron has it.
        ("0 8 13 * 5", 7 * 24 + 2),
        ("0 8 29 2 *", (4 * 365 + 1) * 24 + 2),
    ],
)
def test_a_job_is_missed_two_hours_after_its_longest_gap(
    schedule: str, hours: int, jobs: Jobs, tmp_path: Path
) -> None:
    deployed = read(jobs, tmp_path, {"calibrate": f"{{schedule: '{schedule}'}}"})

    assert deployed["jobs"]["calibrate"]["watch_hours"] == hours


def test_the_example_of_a_schedule_gives_what_it_shows() -> None:
    from etl_jobs.deployment import schedule

    found = doctest.testmod(schedule)

    assert (found.failed, found.attempted) == (0, 1)


def test_a_job_that_nobody_scheduled_is_not_missed(jobs: Jobs, tmp_path: Path) -> None:
    deployed = read(jobs, tmp_path, {"calibrate": "{}"})

    assert deployed["jobs"]["calibrate"]["watch_hours"] is None


def test_nothing_is_collected_that_a_task_may_be_at_work_on(jobs: Jobs, tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"

    def collected(older_than: int) -> list[str]:
        path.write_text(
            f"defaults: {{{CHOICES}}}\n"
            "jobs: {calibrate: {timeout: 24h}}\n"
            f"gc: {{schedule: 0 12 * * 0, keep: 3, older_than: {older_than}}}\n"
        )
        return list(read_deployment(path, jobs, DAY)["jobs"]["gc"]["arguments"])

    # Four attempts of a day each, and a day of slack.
    wanted = ["gc", "--delete", "--keep", "3", "--older-than", "5", "--longest-task", "120"]
    assert collected(5) == wanted
    with pytest.raises(InputError, match=r"may take 120 hours.* expected at least 5"):
        collected(4)


@pytest.mark.parametrize(
    "text", ["", "[]", "jobs: {}", "defaults: {}\njobs: {}", "defaults: {}\njobs: x", "a: {\n"]
)
def test_a_file_that_is_none_is_refused(text: str, jobs: Jobs, tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match=r"jobs\.yaml: "):
        read_deployment(path, jobs, DAY)


def test_a_file_that_cannot_be_read_or_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployment", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml: cannot be read" in capsys.readouterr().err
    assert main(["deployment", str(DEPLOY / "jobs.yaml"), "--output", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


# --- What Terraform would make -------------------------------------------------------------

GIVEN = {
    "project": "a-project",
    "region": "europe-west1",
    "location": "EU",
    "image": "europe-west1-docker.pkg.dev/a-project/etl/jobs:0.1.0",
    "raw": "created",
    "emails": ["someone@example.com"],
}


class Terraform:
    """Terraform on a copy of `deploy/`, with a stand-in for the provider, and no state."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        shutil.copytree(
            DEPLOY, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.txt")
        )
        (folder / "stand_in_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (folder / "terraformrc").write_text("")
        self.environment = {
            **os.environ,
            **environment,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
            "TF_IN_AUTOMATION": "1",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def plan(self, **given: object) -> dict[str, dict[str, Any]]:
        """What would be created, by address."""
        # The last by name has the last word.
        (self.folder / "z.auto.tfvars.json").write_text(json.dumps({**GIVEN, **given}))
        planned = self.run("plan", "-input=false", "-no-color", "-out=plan")
        assert planned.returncode == 0, planned.stderr
        shown = json.loads(self.run("show", "-json", "plan").stdout)
        resources = shown["planned_values"]["root_module"]["resources"]
        return {each["address"]: each["values"] for each in resources}


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on PATH; install it to have deploy/ validated and planned")
    from tests.stand_ins.terraform import GoogleProviderStandIn

    with GoogleProviderStandIn() as provider:
        made = Terraform(tmp_path_factory.mktemp("terraform") / "deploy", provider.environment)
        begun = made.run("init", "-input=false", "-no-color")
        assert begun.returncode == 0, begun.stderr
        yield made


@pytest.fixture(scope="module")
def planned(terraform: Terraform) -> dict[str, dict[str, Any]]:
    return terraform.plan()


def of(planned: dict[str, dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return [values for address, values in planned.items() if address.startswith(f"{type_}.")]


def test_the_configuration_is_valid_and_formatted(terraform: Terraform) -> None:
    checked = terraform.run("validate", "-no-color")
    formatted = terraform.run("fmt", "-check", "-diff", str(DEPLOY))

    assert checked.returncode == 0, checked.stderr
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ('resource "google_storage_bucket" "b" {\n  name = "b"\n}\n', '"location" is required'),
        (
            'resource "google_service_account" "b" {\n  account_id = "b"\n  mail = "x"\n}\n',
            'An argument named "mail" is not expected',
        ),
        ('output "x" {\n  value = var.nothing\n}\n', "An input variable with the name"),
        (
            'output "x" {\n  value = google_service_account.jobs.mail\n}\n',
            'has no argument, nested block, or exported attribute named "mail"',
        ),
    ],
)
def test_a_mistake_in_the_configuration_would_be_found(
    broken: str, problem: str, terraform: Terraform
) -> None:
    file = terraform.folder / "broken.tf"
    file.write_text(broken)

    checked = terraform.run("validate", "-no-color")
    file.unlink()

    assert checked.returncode == 1
    assert problem in " ".join(checked.stderr.split())


def test_each_job_runs_as_its_contract_and_choices_say(
    planned: dict[str, dict[str, Any]], variables: dict[str, Any]
) -> None:
    for name, job in variables["jobs"].items():
        made = planned[f'google_cloud_run_v2_job.jobs["{name}"]']
        tasks = made["template"][0]
        task = tasks["template"][0]
        container = task["containers"][0]
        assert made["name"] == f"etl-{name}"
        assert tasks["task_count"] == job["tasks"]
        assert task["timeout"] == f"{job['timeout_seconds']}s"
        assert task["max_retries"] == job["retries"]
        assert container["image"] == GIVEN["image"]
        assert container["args"][: len(job["arguments"])] == job["arguments"]
        assert container["resources"][0]["limits"] == {
            "cpu": str(job["cpu"]),
            "memory": f"{job['memory_mebibytes']}Mi",
        }


def test_what_a_job_is_told_is_what_the_command_line_understands(
    planned: dict[str, dict[str, Any]],
) -> None:
    from etl_jobs.cli import COMMANDS
    from etl_jobs.options import parse

    for job in of(planned, "google_cloud_run_v2_job"):
        arguments = job["template"][0]["template"][0]["containers"][0]["args"]
        options = parse(COMMANDS, arguments)
        assert options.command == ("gc" if job["name"] == "etl-gc" else "run")
        assert (options.project, options.bucket) == ("a-project", "a-project-etl")
        assert (options.dataset, options.location) == ("etl", "EU")


def test_each_scheduled_job_is_started_in_utc_and_watched(
    planned: dict[str, dict[str, Any]], variables: dict[str, Any]
) -> None:
    scheduled = {name: job for name, job in variables["jobs"].items() if job["schedule"]}
    assert scheduled

    for name, job in scheduled.items():
        scheduler = planned[f'google_cloud_scheduler_job.jobs["{name}"]']
        assert scheduler["schedule"] == job["schedule"]
        assert scheduler["time_zone"] == "Etc/UTC"
        if name == "gc":
            assert 'google_monitoring_alert_policy.silent["gc"]' not in planned
            continue
        watch = planned[f'google_monitoring_alert_policy.silent["{name}"]']
        query = watch["conditions"][0]["condition_prometheus_query_language"][0]["query"]
        assert f'metric_job="{job["job"]}"' in query
        assert "custom.googleapis.com/etl/job/success" in query
        assert f"[{job['watch_hours']}h]" in query
        assert watch["notification_channels"] is None or len(watch["notification_channels"]) == 1


def test_alerts_watch_metrics_that_runs_write(planned: dict[str, dict[str, Any]]) -> None:
    known = {metric.whole: metric for metric in METRICS}
    text = json.dumps(of(planned, "google_monitoring_alert_policy"))

    named = set(re.findall(r"custom\.googleapis\.com/[\w/]+", text))
    assert named
    assert named <= set(known)
    for made in of(planned, "google_monitoring_metric_descriptor"):
        metric = known[made["type"]]
        assert made["value_type"] == {int: "INT64", float: "DOUBLE"}[metric.type]
        assert made["unit"] == metric.unit
        assert {label["key"] for label in made["labels"]} == {"job", *metric.labels}


def test_the_accounts_hold_the_least_roles_they_need(planned: dict[str, dict[str, Any]]) -> None:
    roles = sorted(
        (address.partition(".")[0], values["role"])
        for address, values in planned.items()
        if "_iam_" in address and "run_v2" not in address
    )

    assert roles == [
        ("google_bigquery_dataset_iam_member", "roles/bigquery.dataEditor"),
        ("google_bigquery_dataset_iam_member", "roles/bigquery.dataViewer"),
        ("google_project_iam_member", "roles/bigquery.jobUser"),
        ("google_project_iam_member", "roles/bigquery.readSessionUser"),
        ("google_project_iam_member", "roles/monitoring.metricWriter"),
        ("google_storage_bucket_iam_member", "roles/storage.objectUser"),
    ]
    starters = of(planned, "google_cloud_run_v2_job_iam_member")
    assert {each["role"] for each in starters} == {"roles/run.invoker"}


def test_what_was_published_is_kept_from_the_public_and_from_mistakes(
    planned: dict[str, dict[str, Any]],
) -> None:
    bucket = planned["google_storage_bucket.published"]

    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["force_destroy"] is False
    assert bucket["versioning"] == [{"enabled": True}]
    assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] >= 7 * 24 * 3600
    for rule in bucket["lifecycle_rule"]:
        # Only a run that nothing points to may go, which no rule of a bucket can know.
        if rule["action"][0]["type"] == "Delete":
            assert rule["condition"][0]["with_state"] == "ARCHIVED"
            assert rule["condition"][0]["age"] is None


def test_logs_that_are_there_already_are_read_where_they_are(terraform: Terraform) -> None:
    elsewhere = terraform.plan(raw="existing", raw_datasets=["raw", "other-project.logs"])

    assert not [address for address in elsewhere if "dataset.raw" in address]
    readers = of(elsewhere, "google_bigquery_dataset_iam_member")
    assert {(each["project"], each["dataset_id"]) for each in readers} >= {
        ("a-project", "raw"),
        ("other-project", "logs"),
    }


@pytest.mark.parametrize("image", ["jobs", "jobs:latest", "host:443/jobs:latest"])
def test_an_image_that_may_change_under_its_name_is_refused(
    image: str, terraform: Terraform
) -> None:
    refused = terraform.run("plan", "-input=false", "-no-color", f"-var=image={image}")

    assert refused.returncode == 1
    assert "nobody knows what ran last night" in " ".join(refused.stderr.split())


# --- Without Terraform ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def written() -> str:
    return "\n".join(path.read_text() for path in sorted(DEPLOY.glob("*.tf")))


def test_nobody_is_given_a_wide_role_or_a_key(written: str) -> None:
    assert not re.search(r"roles/(owner|editor|viewer|\w+\.admin)\b", written)
    assert "service_account_key" not in written
    assert "allUsers" not in written
    assert "allAuthenticatedUsers" not in written


# What Terraform itself takes in any resource.
META = {"for_each", "count", "depends_on", "lifecycle", "provider", "dynamic"}


def problems(body: dict[str, Any], block: dict[str, Any], where: str) -> list[str]:
    """What a block holds that it may not, or lacks that it has to hold."""
    attributes, nested = block["attributes"], block.get("blocks", {})
    there = {name for name in body if not name.startswith("__")}
    inner: list[tuple[str, dict[str, Any]]] = [
        (name, each) for name in there & set(nested) for each in body[name]
    ]
    for dynamic in body.get("dynamic", []):
        for name, each in dynamic.items():
            inner.append((name.strip('"'), each["content"][0]))
    required = {name for name, words in attributes.items() if words.startswith("required")}
    required |= {name for name, each in nested.items() if each.get("min")}
    found = [f"{where} lacks {name}" for name in required - there - {name for name, _ in inner}]
    settable = {name for name, words in attributes.items() if not words.startswith("computed")}
    found += [f"{where} has no {name}" for name in there - settable - set(nested) - META]
    for name, each in inner:
        found += problems(each, nested[name], f"{where}.{name}")
    return found


def test_each_resource_holds_what_the_provider_documents() -> None:
    schema = json.loads((ROOT / "tests/stand_ins/terraform/google.json").read_text())["resources"]
    resources = [
        (type_.strip('"'), name.strip('"'), body)
        for path in DEPLOY.glob("*.tf")
        for each in hcl2.loads(path.read_text()).get("resource", [])
        for type_, named in each.items()
        for name, body in named.items()
    ]

    assert len(resources) > 15
    assert [
        problem
        for type_, name, body in resources
        for problem in problems(body, schema[type_], f"{type_}.{name}")
    ] == []


def test_what_the_provider_does_not_document_would_be_found() -> None:
    schema = json.loads((ROOT / "tests/stand_ins/terraform/google.json").read_text())["resources"]
    body = {"name": "x", "colour": "red", "versioning": [{"on": True}]}

    assert sorted(problems(body, schema["google_storage_bucket"], "bucket")) == [
        "bucket has no colour",
        "bucket lacks location",
        "bucket.versioning has no on",
        "bucket.versioning lacks enabled",
    ]


def test_every_name_that_is_used_is_declared(written: str) -> None:
    declared = {f"var.{name}" for name in re.findall(r'^variable "(\w+)"', written, re.MULTILINE)}
    declared |= {
        f"{type_}.{name}"
        for type_, name in re.findall(r'^resource "(\w+)" "(\w+)"', written, re.MULTILINE)
    }
    for block in re.findall(r"^locals \{\n(.*?)^\}", written, re.MULTILINE | re.DOTALL):
        declared |= {f"local.{name}" for name in re.findall(r"^  (\w+) +=", block, re.MULTILINE)}

    used = set(re.findall(r"\b((?:var|local|google_\w+)\.\w+)", written))
    assert used - declared == set()
    assert {name for name in declared if name.startswith("var.")} <= used


# --- The page ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "cloud_run.md").read_text()


def shell_lines(page: str) -> list[list[str]]:
    """The blocks of commands of the page, a line each."""
    return [
        block.strip().splitlines() for block in re.findall(r"```shell\n(.*?)```", page, re.DOTALL)
    ]


def test_nothing_to_a_nightly_job_is_ten_commands(page: str) -> None:
    first = shell_lines(page)[0]

    assert len(first) == 10


def test_the_commands_of_the_page_are_understood(page: str) -> None:
    from etl_jobs.cli import COMMANDS
    from etl_jobs.options import parse

    typed = [shlex.split(line) for block in shell_lines(page) for line in block]
    for words in typed:
        if words[0] == "etl-jobs":
            assert parse(COMMANDS, words[1:]).command == words[1]
        for word in words:
            if word.startswith("--args="):
                arguments = word.removeprefix("--args=").split(",")
                assert parse(COMMANDS, arguments).command == arguments[0]


def test_the_page_lists_the_roles_that_are_given(page: str, written: str) -> None:
    given = set(re.findall(r'"(roles/[\w.]+)"', written))

    assert set(re.findall(r"\| `[\w-]+` \| `(roles/[\w.]+)`", page)) == given


def test_the_page_lists_every_exit_code(page: str) -> None:
    from etl_jobs.failure import ExitCode

    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(ExitCode)


def test_the_choices_of_the_page_can_be_deployed(page: str, jobs: Jobs, tmp_path: Path) -> None:
    [choices] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "jobs.yaml"
    path.write_text(choices)

    deployed = read_deployment(path, jobs, DAY)["jobs"]
    assert set(deployed) == {"calibrate", "dif-mantel-haenszel", "gc"}
