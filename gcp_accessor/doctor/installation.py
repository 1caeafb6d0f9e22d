"""What is installed, and how long it takes to import."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from gcp_accessor.doctor.finding import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PART = "Installed"
_NAME = "gcp-accessor"
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_IMPORTS = {
    "gcp_accessor": "gcp_accessor",
    "BigQuery's client": "google.cloud.bigquery",
    "Cloud Storage's": "google.cloud.storage",
    "Monitoring's": "google.cloud.monitoring_v3",
    "pandas": "pandas",
    "duckdb": "duckdb",
}
# Each in a new Python, whose own start does not count.
_TIMED = "import sys, time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
_IMPORT_SECONDS = 15.0
# A disk that is a network's, or a cold one.
_SLOW_SECONDS = 5.0


def packages() -> list[Finding]:
    """Return this package's version, and which extras are complete."""
    what = f"{_NAME} {version(_NAME)} on Python {platform.python_version()}, {platform.system()}"
    extras = [_extra(name, requirements) for name, requirements in sorted(_extras().items())]
    return [Finding(PART, "version", "good", what), *extras]


def import_times() -> Finding:
    """Return how long each import takes in a Python of its own."""
    took = {title: _import_seconds(module) for title, module in _IMPORTS.items()}
    text = ", ".join(
        f"{title} {seconds:.2f} s" for title, seconds in took.items() if seconds is not None
    )
    slow = [title for title, seconds in took.items() if (seconds or 0) > _SLOW_SECONDS]
    if slow:
        advice = "is the environment on a network disk? A second run, from the cache, tells"
        return Finding(PART, "imports", "note", text, (advice,))
    return Finding(PART, "imports", "good", text)


def _import_seconds(module: str) -> float | None:
    """Return the seconds, None if the module is not there or takes too long."""
    try:
        # The modules are those above.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "ignore", "-c", _TIMED.format(module)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_IMPORT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout) if done.returncode == 0 else None


def _extras() -> dict[str, list[Requirement]]:
    """Return what each extra asks for, as the package's own metadata says it."""
    from packaging.requirements import Requirement

    found: dict[str, list[Requirement]] = {}
    for text in requires(_NAME) or ():
        named = _EXTRA.search(text)
        if named is None or named[1] == "all":
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": named[1]}):
            found.setdefault(named[1], []).append(requirement)
    return found


def _extra(name: str, requirements: list[Requirement]) -> Finding:
    there, lacking = [], []
    for requirement in requirements:
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            lacking.append(requirement.name)
            continue
        there.append(f"{requirement.name} {installed}")
        if not requirement.specifier.contains(installed, prereleases=True):
            lacking.append(f"{requirement.name}{requirement.specifier}")
    title = f"[{name}]"
    if not lacking:
        return Finding(PART, title, "good", ", ".join(there))
    advice = f"pip install '{_NAME}[{name}]'"
    return Finding(PART, title, "note", f"lacks {', '.join(lacking)}", (advice,))
