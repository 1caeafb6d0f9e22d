"""`nox` runs lint, types and tests; `nox -l` lists the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
# The tests start many processes. Where the environment keeps Python from storing what it has
# compiled, each would compile Google's clients anew.
os.environ.setdefault("UV_COMPILE_BYTECODE", "1")
OURS = ("gcp_accessor", "etl_jobs")

PYPROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("hadolint", "Dockerfile")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on both packages."""
    session.install("-e", ".[all]", *group("types"))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no cloud. `nox -s tests -- tests/test_storage.py -k race`."""
    session.install("-e", ".[all]", *group("test"))
    session.run("python", "-m", "compileall", "-q", *OURS)
    # Two processes on two cores: threads of linear algebra would only wait for each other.
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    session.run("pytest", "-n", "2", "-m", "not live", *session.posargs, env=environment)


@nox.session
def report(session: nox.Session) -> None:
    """The report in a headless browser, which is Debian's Chromium where there is none yet."""
    session.install("-e", ".[all]", *group("test"))
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        if not shutil.which("apt-get") or os.geteuid() != 0:
            session.error("no Chromium or Chrome on PATH: install one (Debian: chromium)")
        session.run("apt-get", "update", external=True)
        session.run("apt-get", "install", "--yes", "chromium", external=True)
    tests = ("tests/test_report.py", "tests/test_report_in_browser.py")
    session.run("pytest", *tests, *session.posargs)


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The tests on the oldest versions that pyproject.toml allows."""
    session.run_install(
        "uv", "pip", "install", "--resolution", "lowest-direct", "-e", ".[all]", *group("test")
    )
    session.run("python", "-m", "compileall", "-q", *OURS)
    session.run("pytest", "-n", "2", "-m", "not live", *session.posargs)


@nox.session
def emulator(session: nox.Session) -> None:
    """Google's clients against somebody else's BigQuery, whose DuckDB is not ours."""
    session.install("-e", ".[pandas]", *group("emulator"))
    # Its plugin for pytest asks for Docker.
    session.run("pytest", "-p", "no:bqemulator", "tests/emulator", *session.posargs)


@nox.session
def live(session: nox.Session) -> None:
    """What only a real project can show: GCP_ACCESSOR_LIVE_PROJECT and _BUCKET name it."""
    if not os.environ.get("GCP_ACCESSOR_LIVE_PROJECT"):
        session.skip("set GCP_ACCESSOR_LIVE_PROJECT and GCP_ACCESSOR_LIVE_BUCKET to run them")
    session.install("-e", ".[all]", *group("test"))
    session.run("pytest", "-m", "live", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """What the claims of speed rest on. `nox -s bench -- main_job` runs one of them."""
    session.install("-e", ".[all]", *group("bench"))
    name, *arguments = session.posargs or ["main_job"]
    session.run("python", f"benchmarks/{name}.py", *arguments)


@nox.session(name="bench-irt")
def bench_irt(session: nox.Session) -> None:
    """Calibration beside PyPI's mirt and girth, row by row. `nox -s bench-irt -- --quick`."""
    session.install("-e", ".[all]", *group("bench"))
    session.run("python", "benchmarks/irt.py", *session.posargs)


@nox.session
def proof(session: nox.Session) -> None:
    """What docs/durability.md claims. `-- kills --kills 200`, `-- race`, `-- faults`."""
    session.install("-e", ".[all]", *group("test"))
    name, *arguments = session.posargs or ["kills"]
    # gRPC would tell of every stand-in that goes away.
    session.run("python", "-m", f"tests.proof.{name}", *arguments, env={"GRPC_VERBOSITY": "NONE"})


@nox.session(venv_backend="uv")
def pin(session: nox.Session) -> None:
    """The versions that the image holds, each with the hashes of its files, taken anew."""
    build = Path(session.create_tmp()) / "build.in"
    build.write_text("\n".join(PYPROJECT["build-system"]["requires"]), encoding="utf-8")
    how = ("--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28")
    for source, name in (
        (("pyproject.toml", "--extra", "jobs"), "requirements.txt"),
        ((str(build),), "build-requirements.txt"),
    ):
        session.run(
            *("uv", "pip", "compile", "--quiet", "--upgrade", *source, *how),
            *("--generate-hashes", "--no-annotate"),
            *("--custom-compile-command", "nox -s pin", "--output-file", f"deploy/{name}"),
        )


@nox.session(venv_backend="none")
def readme(session: nox.Session) -> None:
    """The README's two commands as they stand, in a clean copy and a clean environment."""
    text = Path("README.md").read_text(encoding="utf-8")
    commands = re.search(r"## Quick start.*?```shell\n(.*?)```", text, re.DOTALL)[1].splitlines()
    copy = Path(session.create_tmp()) / "clone"
    shutil.rmtree(copy, ignore_errors=True)
    session.run("git", "clone", "--quiet", ".", str(copy), external=True)
    # Real logs beside the checkout are part of the tests where they are there at all.
    shared = Path("..", "shared").resolve()
    if shared.is_dir() and not (copy.parent / "shared").exists():
        (copy.parent / "shared").symlink_to(shared)
    session.run("python3", "-m", "venv", str(copy / ".venv"), external=True)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["PATH"] = f"{copy / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        session.log(command)
        done = subprocess.run(command, shell=True, cwd=copy, env=environment, check=False)
        if done.returncode:
            session.error(f"the README's command failed: {command}")
