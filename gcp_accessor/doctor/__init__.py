"""Who you are to Google Cloud, which project pays, what is reachable, what is installed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from gcp_accessor.doctor import account, folder, installation, services
from gcp_accessor.doctor.finding import Finding, Pending, TookTooLong, begin
from gcp_accessor.doctor.permissions import permissions
from gcp_accessor.local import local_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from gcp_accessor.doctor.account import Account
    from gcp_accessor.doctor.services import Reached

# Each from its own beginning. With those of the account, which come before the asking, 20 in all.
_IMPORTS_SECONDS = 20.0
_REACH_SECONDS = 12.0
_ASK_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. It is usable if nothing that is needed is broken."""

    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether the accessors will work."""
        return not any(finding.state == "bad" for finding in self.findings)


def examine(
    *,
    project: str | None = None,
    local: str | PathLike[str] | None = None,
    impersonate: Sequence[str] = (),
    bucket: str | None = None,
    dataset: str | None = None,
    addresses: services.Addresses | None = None,
) -> Examination:
    """Look at all that an accessor made with these arguments would depend on.

    Nothing is changed, no query is run, no secret is kept. Everything happens at once, each
    check within a time of its own: about 20 seconds where nothing answers at all.

    Args:
        project: Who is to pay; by default the environment's.
        local: The folder instead of Google Cloud; by default GCP_ACCESSOR_LOCAL, if there is
            neither a project nor an account to impersonate.
        impersonate: Service accounts, the last of which is to act.
        bucket: What one may do with the objects of this bucket is asked, too.
        dataset: Whether this dataset can be seen is asked, too.
        addresses: Where the services are; by default where Google's clients look for them.
    """
    imports = begin(installation.import_times)
    place = local_folder(local, project, impersonate or None)
    if place is not None:
        source = "from --local" if local is not None else "from GCP_ACCESSOR_LOCAL"
        where = folder.examine(place, source)
    else:
        where = _google_cloud(
            project, impersonate, bucket, dataset, addresses or services.Addresses()
        )
    return Examination((*where, *installation.packages(), _in_time(imports)))


def _google_cloud(
    project: str | None,
    impersonate: Sequence[str],
    bucket: str | None,
    dataset: str | None,
    addresses: services.Addresses,
) -> list[Finding]:
    # Here, because threads that import the same modules at once see them half made.
    import google.auth.transport.requests  # noqa: F401

    answers = [
        (service, begin(partial(services.reach, service)))
        for service in services.services(addresses)
    ]
    who, findings = account.examine(project, impersonate)
    reached = [_reached(service, pending) for service, pending in answers]
    asked = [_permitted(each, who, bucket, dataset) for each in reached]
    for each, pending in zip(reached, asked, strict=True):
        findings += _told(each, pending)
    clock = services.clock(reached)
    return [*findings, *([clock] if clock else []), *_proxies()]


def _reached(service: services.Service, pending: Pending[Reached]) -> Reached:
    try:
        return pending.result(_REACH_SECONDS)
    except TookTooLong as error:
        problem = service.finding("bad", f"{service.address}: {error}", "the network is too slow")
        return services.Reached(service, _REACH_SECONDS, problem)


def _permitted(
    reached: Reached, who: Account | None, bucket: str | None, dataset: str | None
) -> Pending[list[Finding]] | None:
    if reached.problem or who is None or who.project is None or not who.works:
        return None
    return begin(partial(permissions, reached, who, bucket, dataset))


def _told(reached: Reached, pending: Pending[list[Finding]] | None) -> list[Finding]:
    if reached.problem is not None:
        return [reached.problem]
    answers = f"answers in {reached.seconds:.1f} s"
    if pending is None:
        text = f"{answers}; what you may do there, an account and a project would show"
        return [reached.service.finding("good", text)]
    try:
        return pending.result(_ASK_SECONDS)
    except TookTooLong as error:
        return [reached.service.finding("bad", f"{answers}, but gave the account {error}")]


def _proxies() -> list[Finding]:
    found = {name: url for name, url in getproxies().items() if name in ("http", "https", "all")}
    if not found:
        return []
    # Without a user's name and password.
    text = ", ".join(
        f"{name} {urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition('@')[2]).geturl()}"
        for name, url in found.items()
    )
    return [Finding(account.PART, "proxy", "note", text)]


def _in_time(imports: Pending[Finding]) -> Finding:
    try:
        return imports.result(_IMPORTS_SECONDS)
    except TookTooLong as error:
        return Finding(installation.PART, "imports", "note", f"{error}: a slow disk?")
