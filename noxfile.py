"""`nox` runs lint, types and tests; `nox -l` lists the rest."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on both packages."""
    session.install("-e", ".[all]", *group("types"))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no cloud. `nox -s tests -- tests/test_storage.py -k race`."""
    session.install("-e", ".[all]", *group("test"))
    session.run("pytest", "-n", "2", "-m", "not live", *session.posargs)


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The tests on the oldest versions that pyproject.toml allows."""
    session.run_install(
        "uv", "pip", "install", "--resolution", "lowest-direct", "-e", ".[all]", *group("test")
    )
    session.run("pytest", "-n", "2", "-m", "not live", *session.posargs)


@nox.session
def live(session: nox.Session) -> None:
    """The contracts against a real project: GCP_ACCESSOR_LIVE_PROJECT and _BUCKET name it."""
    if not os.environ.get("GCP_ACCESSOR_LIVE_PROJECT"):
        session.skip("set GCP_ACCESSOR_LIVE_PROJECT and GCP_ACCESSOR_LIVE_BUCKET to run them")
    session.install("-e", ".[all]", *group("test"))
    session.run("pytest", "-m", "live", *session.posargs)
