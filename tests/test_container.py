"""The image: what its Dockerfile promises, and its steps as far as they go without Docker."""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction of a Dockerfile with what it says, continued lines put together."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in whole.splitlines() if line.strip()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    return instructions((ROOT / "Dockerfile").read_text())


def said(dockerfile: list[tuple[str, str]], word: str) -> list[str]:
    return [text for name, text in dockerfile if name == word]


def context(dockerfile: list[tuple[str, str]]) -> list[str]:
    """What is copied from the build's folder, not from another stage."""
    copies = [text.split() for text in said(dockerfile, "COPY") if "--from=" not in text]
    return [source for copy in copies for source in copy[:-1]]


def pins(name: str) -> dict[str, str]:
    """Package -> version, of a file of pinned requirements."""
    text = (ROOT / "deploy" / name).read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_the_base_is_one_release_of_python_that_the_project_is_tested_with(
    dockerfile: list[tuple[str, str]],
) -> None:
    (base,) = said(dockerfile, "ARG")

    found = re.fullmatch(r"PYTHON=(3\.\d+)\.\d+-slim-[a-z]+", base)
    assert found is not None
    floor = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert floor is not None
    assert int(found[1].partition(".")[2]) >= int(floor[1])
    assert {text.split()[0] for text in said(dockerfile, "FROM")} == {"python:${PYTHON}"}


def test_what_runs_is_nobody_in_particular(dockerfile: list[tuple[str, str]]) -> None:
    user, group = said(dockerfile, "USER")[-1].split(":")

    assert int(user) > 0
    assert int(group) > 0
    last_stage = [name for name, _ in dockerfile][-8:]
    assert "USER" in last_stage[last_stage.index("FROM") :]


def test_a_job_is_the_argument_of_the_image(dockerfile: list[tuple[str, str]]) -> None:
    assert said(dockerfile, "ENTRYPOINT") == ['["etl-jobs"]']
    assert said(dockerfile, "CMD") == ['["--help"]']


def test_dependencies_are_installed_before_the_code_is_copied(
    dockerfile: list[tuple[str, str]],
) -> None:
    install = next(
        number
        for number, (name, text) in enumerate(dockerfile)
        if name == "RUN" and "deploy/requirements.txt" in text
    )
    code = next(
        number
        for number, (name, text) in enumerate(dockerfile)
        if name == "COPY" and "etl_jobs" in text
    )

    assert install < code


def test_nothing_is_fetched_but_packages_of_known_content(
    dockerfile: list[tuple[str, str]],
) -> None:
    assert not said(dockerfile, "ADD")
    for command in said(dockerfile, "RUN"):
        assert not re.search(r"curl|wget|git |apt", command)
        for install in re.findall(r"install ([^&]*)", command):
            assert "--require-hashes" in install or "--no-deps" in install


def test_the_image_is_made_of_what_the_ignore_file_lets_through_and_nothing_else(
    dockerfile: list[tuple[str, str]],
) -> None:
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"
    ]

    assert first == "*"
    let_through = {line[1:] for line in rest if line.startswith("!")}
    assert let_through == set(context(dockerfile))
    assert all((ROOT / each).exists() for each in let_through)


def test_every_requirement_of_the_jobs_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["jobs"], *extras["local"], *extras["pandas"]]
    pinned = pins("requirements.txt")

    for requirement in map(Requirement, wanted):
        if requirement.name != project["name"]:
            version = pinned[requirement.name]
            assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_the_pins_are_those_of_the_images_python(dockerfile: list[tuple[str, str]]) -> None:
    pinned_for = re.search(r'"--python-version", "([\d.]+)"', (ROOT / "noxfile.py").read_text())
    (base,) = said(dockerfile, "ARG")

    assert pinned_for is not None
    assert base.startswith(f"PYTHON={pinned_for[1]}.")


@pytest.mark.parametrize("name", ["requirements.txt", "build-requirements.txt"])
def test_every_pin_says_what_its_file_has_to_hold(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()

    blocks = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert len(blocks) == len(pins(name))
    assert all("--hash=sha256:" in block for block in blocks)
    # No index but the usual one, and nothing from a folder or an address.
    assert not re.search(r"^\s*(-i|--index|--extra|--find)|://| @ ", text, re.MULTILINE)


def test_the_builds_own_tools_are_those_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = pins("build-requirements.txt")

    for requirement in map(Requirement, project["build-system"]["requires"]):
        assert requirement.specifier.contains(pinned[requirement.name])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the image has it: built without a network, unpacked, compiled by content."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        # Else hatchling, and what it imports, would be told to fail on any warning of theirs.
        env={**os.environ, "PYTHONWARNINGS": "default", "SOURCE_DATE_EPOCH": "946684800"},
    )
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert compileall.compile_dir(
        site, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    return site


def run(site: Path, where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `etl-jobs` from the unpacked wheel, in a folder that has nothing to do with it."""
    command = [sys.executable, "-m", "etl_jobs.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_brings_the_jobs_wherever_it_is_installed(
    installed: Path, tmp_path: Path
) -> None:
    done = run(installed, tmp_path, "list")

    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines() if line[:1].strip()}
    assert {"calibrate", "answers/latest", "features/items"} <= listed


def test_the_wheel_holds_no_tests_and_no_data(installed: Path) -> None:
    found = {path.relative_to(installed).parts[0] for path in installed.iterdir()}

    assert {name for name in found if not name.endswith(".dist-info")} == {
        "etl_jobs",
        "gcp_accessor",
    }
    assert not [path for path in installed.rglob("*") if path.suffix in {".gz", ".parquet", ".csv"}]


def test_every_module_is_compiled_and_stays_so(installed: Path, tmp_path: Path) -> None:
    modules = {path.stem for path in installed.rglob("*.py")}
    compiled = {path.name.partition(".")[0] for path in installed.rglob("*.pyc")}

    assert modules == compiled
    # Compiled by content: a time that the image's layers changed would not matter.
    for path in installed.rglob("*.py"):
        os.utime(path, (0, 0))
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*.pyc")}
    assert run(installed, tmp_path, "--help").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*.pyc")} == before
