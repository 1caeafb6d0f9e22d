"""Kill the main job at random moments, run it again, and read what is published all the while.

    nox -s proof -- kills --kills 200

Each round takes a fresh folder in which a first day is published, and then day after day: the run
of the day is killed by SIGKILL at a random moment (every second time aimed at the moments in which
it publishes), and run again. Two threads read without a pause. Nobody may ever read anything but
the bytes that an uninterrupted run of that day leaves, nor a day before one that was read already.
At the end it is told what the kills hit.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_accessor import CloudStorageAccessor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOG = Path(__file__).resolve().parents[2] / "examples" / "lsat6.csv.gz"
FIRST_DAY = date(2024, 3, 31)
# The jobs of the plan, and what each publishes.
JOBS = ("answers/latest", "answers/rejected", "features/items", "calibrate")
READ = {
    "calibrate": ("item_parameters.json", "item_parameters.csv.gz", "report.html"),
    "features/items": ("items.csv.gz", "items.parquet"),
}

# What a run leaves behind one after the other, behind which the kills are aimed.
LEFT = ("start.json", "0-0/*", "tasks/0.json", "manifest.json")

Bytes = dict[tuple[str, date, str], bytes]


@dataclass
class Tally:
    """What happened.

    Attributes:
        hit: How many kills met which job at which step.
        reads: How many files were read, and compared with what they have to be.
        wrong: What should never have been.
    """

    hit: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, read, compare, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--days", type=int, default=10, help="how many days share a folder")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = Tally()
    source = random.Random(options.seed)
    # Ctrl-C ends it early, with what was seen until then.
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, suppress(KeyboardInterrupt):
        prove(Path(folder), options.kills, options.days, source, tally)
    print(f"{sum(tally.hit.values())} kills, {tally.reads:,} files read meanwhile")
    print(f"  {tally.late} runs ended before their kill")
    for moment, times in sorted(tally.hit.items()):
        print(f"  {times:4}  {moment}")
    for line in tally.wrong:
        print(f"WRONG: {line}")
    sys.exit(bool(tally.wrong))


def prove(folder: Path, kills: int, days: int, source: random.Random, tally: Tally) -> None:
    """Kill the job so often, and note what happened."""
    days = min(days, kills)
    all_days = [FIRST_DAY + timedelta(days=day) for day in range(days + 1)]
    first = folder / "first"
    run(first, all_days[0])
    model = folder / "uninterrupted"
    shutil.copytree(first, model)
    seconds = []
    for day in all_days[1:]:
        began = time.perf_counter()
        run(model, day)
        seconds.append(time.perf_counter() - began)
    expected = {**published(first, all_days[:1]), **published(model, all_days[1:])}
    while sum(tally.hit.values()) < kills and not tally.wrong:
        place = folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(first, place)
        ran = []
        with reading(place, expected, tally):
            for day in all_days[1:]:
                if sum(tally.hit.values()) < kills:
                    kill_once(place, day, max(seconds), source, tally)
                    ran.append(day)
        compare(published(place, ran), expected, tally)


def command(place: Path, day: date) -> list[str]:
    """The main job as a person types it."""
    return [
        *(sys.executable, "-c", "import sys; from etl_jobs.cli import main; sys.exit(main())"),
        *("run", "calibrate", "--local", str(place), "--as-of", day.isoformat()),
        *("--input", f"raw.answers={LOG}"),
    ]


def run(place: Path, day: date) -> None:
    """Run the job to its end."""
    done = subprocess.run(command(place, day), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the run of {day} in {place} failed: {done.stderr}")


def kill_once(place: Path, day: date, seconds: float, source: random.Random, tally: Tally) -> None:
    """Kill the day's run at a random moment until one is met, then run it again."""
    with subprocess.Popen(
        command(place, day), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        if source.random() < 0.5:
            job = place / "buckets" / "etl" / source.choice(JOBS)
            wait_for(job, f"runs/{day}-*/{source.choice(LEFT)}", process)
            time.sleep(source.uniform(0, 0.01))
        else:
            time.sleep(source.uniform(0, seconds))
        process.send_signal(signal.SIGKILL)
    if process.returncode == -signal.SIGKILL:
        tally.hit[moment(place, day)] += 1
    else:
        tally.late += 1
    try:
        run(place, day)
    except RuntimeError as error:
        tally.wrong.append(str(error))


def wait_for(job: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the job has left this, or its process has ended."""
    while not any(job.glob(pattern)) and process.poll() is None:
        time.sleep(0.0005)


def moment(place: Path, day: date) -> str:
    """Return which job of the plan the kill met, and what it had left of its run."""
    met = "before the first job"
    for job in JOBS:
        folder = place / "buckets" / "etl" / job
        for run in folder.glob(f"runs/{day}-*"):
            names = {path.relative_to(run).parts[0] for path in run.rglob("*.*")}
            if run.name in (folder / "latest.json").read_text():
                met = f"{job}: published"
            elif "manifest.json" in names:
                return f"{job}: committed, not published"
            elif "tasks" in names:
                return f"{job}: marked as done, not committed"
            elif any(re.fullmatch(r"\d+-\d+", name) for name in names):
                return f"{job}: some parts"
            else:
                return f"{job}: begun"
    return met


def published(place: Path, days: list[date]) -> Bytes:
    """Return the bytes of every file of the committed runs of these days."""
    store = CloudStorageAccessor(local=place)
    content: Bytes = {}
    for job, names in READ.items():
        runs = {
            date.fromisoformat(path.parent.name[:10]): path.parent.name
            for path in (place / "buckets" / "etl" / job).glob("runs/*/manifest.json")
        }
        publication = store.publication(f"gs://etl/{job}")
        for day in days:
            for name in names:
                read = publication.read(name, run_id=runs[day], as_="bytes")
                content[job, day, name] = read.content
    return content


@contextmanager
def reading(place: Path, expected: Bytes, tally: Tally) -> Iterator[None]:
    """Read the published runs, a thread for each job, for as long as the block lasts."""
    ended = threading.Event()
    threads = [
        threading.Thread(target=read_on, args=(place, job, expected, tally, ended)) for job in READ
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def read_on(place: Path, job: str, expected: Bytes, tally: Tally, ended: threading.Event) -> None:
    """Read every file of what is published, again and again."""
    publication = CloudStorageAccessor(local=place).publication(f"gs://etl/{job}")
    newest = date.min
    while not ended.is_set():
        for name in READ[job]:
            try:
                content, manifest = publication.read(name, as_="bytes")
            except Exception as error:  # whatever it is, a reader got no run
                tally.wrong.append(f"a reader of {job} got {error!r}")
                return
            tally.reads += 1
            if manifest.as_of < newest:
                tally.wrong.append(f"{job}: {manifest.as_of} was read after {newest}")
            newest = max(newest, manifest.as_of)
            compare({(job, manifest.as_of, name): content}, expected, tally)
        # The job needs the processor too.
        ended.wait(0.02)


def compare(found: Mapping[tuple[str, date, str], bytes], expected: Bytes, tally: Tally) -> None:
    """Note what is not as an uninterrupted run leaves it."""
    for (job, day, name), content in found.items():
        if content != expected[job, day, name]:
            tally.wrong.append(f"{job}: {name} of {day} is not what an uninterrupted run leaves")


if __name__ == "__main__":
    main()
