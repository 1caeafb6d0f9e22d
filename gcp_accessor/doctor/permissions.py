"""What the account may do in each of the services, found out without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gcp_accessor.doctor.services import REQUEST_SECONDS, unreached

if TYPE_CHECKING:
    from requests import Response

    from gcp_accessor.doctor.account import Account
    from gcp_accessor.doctor.finding import Finding
    from gcp_accessor.doctor.services import Reached, Service

_OBJECTS = ("list", "get", "create", "delete")


def permissions(
    reached: Reached, account: Account, bucket: str | None, dataset: str | None
) -> list[Finding]:
    """Ask a service, as the account, for what the accessors need of it."""
    import requests

    asker = _Asker(reached.service, account)
    took = f"answers in {reached.seconds:.1f} s"
    try:
        match reached.service.api:
            case "bigquery":
                return _may_query(asker, took, dataset)
            case "storage":
                return _may_store(asker, took, bucket)
            case _:
                return [_may_measure(asker, took)]
    except requests.RequestException as error:
        return [reached.service.finding("bad", *unreached(reached.service, error))]


def _may_query(asker: _Asker, took: str, dataset: str | None) -> list[Finding]:
    project = asker.account.project
    answer = asker.post(
        f"/bigquery/v2/projects/{project}/jobs",
        {
            "configuration": {
                "dryRun": True,
                "query": {"query": "SELECT 1", "useLegacySql": False},
            }
        },
    )
    if not answer.ok:
        return [asker.refused(answer, f"may not run queries in {project}", "bigquery.jobUser")]
    found = [asker.service.finding("good", f"{took}, and runs queries in {project}")]
    if dataset is not None:
        answer = asker.get(f"/bigquery/v2/projects/{project}/datasets/{quote(dataset, safe='')}")
        if answer.ok:
            place = _json(answer).get("location", "an unknown place")
            text = f"the dataset {dataset} is there, in {place}"
            found.append(asker.service.finding("good", text))
        else:
            text = f"the dataset {dataset} cannot be seen"
            found.append(asker.refused(answer, text, "bigquery.dataViewer"))
    return found


def _may_store(asker: _Asker, took: str, bucket: str | None) -> list[Finding]:
    if bucket is None:
        return [
            asker.service.finding(
                "good", f"{took}; --bucket NAME says what you may do with its objects"
            )
        ]
    wanted = "&".join(f"permissions=storage.objects.{each}" for each in _OBJECTS)
    answer = asker.get(f"/storage/v1/b/{quote(bucket, safe='')}/iam/testPermissions?{wanted}")
    if not answer.ok:
        return [asker.refused(answer, f"the bucket {bucket} cannot be seen", "storage.objectUser")]
    held = _json(answer).get("permissions", [])
    may = [each for each in _OBJECTS if f"storage.objects.{each}" in held]
    lacks = [each for each in _OBJECTS if each not in may]
    text = f"{took}; in gs://{bucket} you may {', '.join(may) or 'do nothing with'} objects"
    if not lacks:
        return [asker.service.finding("good", text)]
    role = "objectViewer" if set(lacks) <= {"list", "get"} else "objectUser"
    advice = f"to {' and '.join(lacks)}, you need roles/storage.{role} on gs://{bucket}"
    return [asker.service.finding("note" if may else "bad", text, advice)]


def _may_measure(asker: _Asker, took: str) -> Finding:
    project = asker.account.project
    answer = asker.get(f"/v3/projects/{project}/metricDescriptors?pageSize=1")
    if not answer.ok:
        return asker.refused(answer, f"may not read metrics of {project}", "monitoring.viewer")
    return asker.service.finding(
        "good", f"{took}, and shows metrics; writing takes roles/monitoring.metricWriter"
    )


class _Asker:
    """Speaks to one service as the account."""

    def __init__(self, service: Service, account: Account) -> None:
        self.service = service
        self.account = account

    def get(self, path: str) -> Response:
        import requests

        return requests.get(
            self.service.address + path, headers=self._headers(), timeout=REQUEST_SECONDS
        )

    def post(self, path: str, body: dict[str, Any]) -> Response:
        import requests

        return requests.post(
            self.service.address + path, json=body, headers=self._headers(), timeout=REQUEST_SECONDS
        )

    def refused(self, answer: Response, text: str, role: str) -> Finding:
        """Return why, as far as the service says it, and what lifts it."""
        error = _json(answer).get("error", {})
        message = " ".join(str(error.get("message", f"status {answer.status_code}")).split())
        reasons = {
            str(item.get("reason"))
            for key in ("errors", "details")
            for item in error.get(key, ())
            if isinstance(item, dict)
        }
        project = self.account.project
        if reasons & {"SERVICE_DISABLED", "accessNotConfigured"}:
            advice = f"gcloud services enable {self.service.api}.googleapis.com --project {project}"
        elif reasons & {"billingNotEnabled", "BILLING_DISABLED"}:
            advice = f"link {project} to a billing account"
        elif answer.status_code == 404 or reasons & {"CONSUMER_INVALID"}:
            advice = "check the name, and that it is in the project you mean"
        elif answer.status_code == 401:
            advice = "the token is refused; sign in: gcloud auth application-default login"
        elif answer.status_code >= 500:
            advice = "the service itself fails; try again, and see https://status.cloud.google.com"
        else:
            advice = f"the account needs roles/{role}"
        return self.service.finding("bad", f"{text}: {message}", advice)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        # A token, and whose quota it counts against. It was just renewed, so that this asks nobody.
        self.account.credentials.apply(headers)
        return headers


def _json(answer: Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
