"""Bars where a person is watching: in a real terminal, in a kernel, and never in a job."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from fcntl import ioctl

import pytest

from gcp_accessor.errors import MissingExtra
from gcp_accessor.progress import progress

SLOW = """
import time
from gcp_accessor.progress import progress
with progress("upload items.csv.gz", 3_000_000, "B") as advance:
    for _ in range(8):
        time.sleep(0.1)
        advance(375_000)
"""


def in_terminal(code: str, **environment: str) -> str:
    """Run the code where standard error is a terminal, and return what stood there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=theirs,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        # How Linux says that the other end is closed.
        except OSError:
            break
    os.close(ours)
    assert process.wait(30) == 0, shown.decode()
    return shown.decode()


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end() -> None:
    shown = in_terminal(SLOW)

    assert "upload items.csv.gz" in shown
    assert "MB" in shown
    assert "100%|" in shown
    assert shown.rstrip("\r\n").endswith(" ")


@pytest.mark.parametrize("variable", ["CLOUD_RUN_JOB", "K_SERVICE"])
def test_a_job_shows_none_even_with_a_terminal(variable: str) -> None:
    assert in_terminal(SLOW, **{variable: "nightly"}) == ""


def test_what_is_over_soon_shows_none() -> None:
    assert in_terminal(SLOW.replace("time.sleep(0.1)", "pass")) == ""


def test_a_wait_shows_the_time_it_has_taken() -> None:
    shown = in_terminal("""
import time
from gcp_accessor.progress import progress
with progress("query", None, "s", "on") as advance:
    for _ in range(5):
        time.sleep(0.25)
        advance(0)
""")

    assert "query 00:00" in shown
    assert "query 00:01" in shown


def test_a_pipe_shows_none() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True)

    assert done.stderr == ""


def test_without_tqdm_a_terminal_shows_none() -> None:
    assert in_terminal("import sys; sys.modules['tqdm'] = None" + SLOW) == ""


def test_on_without_tqdm_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)

    missing = pytest.raises(MissingExtra, match=r"pip install 'gcp-accessor\[progress\]'")
    with missing, progress("upload", 1, "B", "on"):
        pass


def test_another_wish_is_refused() -> None:
    refused = pytest.raises(ValueError, match="progress is 'maybe'; expected 'auto', 'on'")
    with refused, progress("upload", 1, "B", "maybe"):  # type: ignore[arg-type]
        pass


def test_several_threads_advance_one_bar_and_no_thread_of_its_own_stays() -> None:
    before = threading.active_count()

    with progress("download", 4000, "files", "on") as advance:
        threads = [
            threading.Thread(target=lambda: [advance(1) for _ in range(1000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        advance(0)

    # A fork finds none, of which Python would warn.
    assert threading.active_count() == before


def test_an_error_of_the_block_takes_the_bar_away(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(KeyError), progress("download", 2, "files", "on") as advance:
        advance(1)
        raise KeyError("a fault")

    assert capsys.readouterr().err.endswith("\r")
