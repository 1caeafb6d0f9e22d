"""Several processes at one bucket, one request at a time, in an order that a test decides.

Each actor is a thread that stops before every request and goes on when the stage says so, with
what befalls that request. Between two requests nothing else runs, so a test that makes the same
choices sees the same play.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from tests.proof.bucket import Bucket, Client, Fate, Killed, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gcp_accessor import CloudStorageAccessor

_SECONDS = 30


class Actor:
    """One process: what it plays, the request that it stands before, and how it ended.

    Attributes:
        waiting: The request that takes effect next; None once it has ended.
        result: What its play returned.
        error: What its play raised; of a killed process `Killed`.
        began: The service's clock when it began.
    """

    def __init__(
        self,
        bucket: Bucket,
        play: Callable[[CloudStorageAccessor], object],
        environment: Mapping[str, str],
    ) -> None:
        self.client = Client(bucket, self._at_a_request)
        self.waiting: Request | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.began = bucket.now
        self._play = play
        self._environment = environment
        self._fate: Fate = "none"
        self._go = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        with _environment(environment):
            self._thread.start()
            self._wait()

    @property
    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self.waiting is not None

    def step(self, fate: Fate = "none") -> None:
        """Let its request happen, and it play on up to the next one or its end."""
        assert self.waiting is not None, "it has ended"
        self._fate = fate
        with _environment(self._environment):
            self._go.release()
            self._wait()

    def finish(self) -> Any:
        """Let it play to its end undisturbed; return its result, or raise its error."""
        while self.is_alive:
            self.step()
        if self.error is not None:
            raise self.error
        return self.result

    def kill(self) -> None:
        """End it where it stands."""
        while self.is_alive:
            self.step("killed before")

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=_SECONDS), f"stuck behind {self.waiting}"

    def _at_a_request(self, request: Request) -> Fate:
        self.waiting = request
        self._stands.release()
        self._go.acquire()
        return self._fate

    def _run(self) -> None:
        try:
            self.result = self._play(self.client.store())
        except BaseException as error:  # whatever it is, it ended with it
            self.error = error
        self.waiting = None
        self._stands.release()


class Stage:
    """The bucket and everybody at it. `with Stage() as stage:` leaves no thread behind."""

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.owner = Client(self.bucket)
        self.actors: list[Actor] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End everybody."""
        for actor in self.actors:
            actor.kill()

    def enter(self, play: Callable[[CloudStorageAccessor], object], **environment: str) -> Actor:
        """Start a process, which stands before its first request.

        Args:
            play: What it does, given the accessor.
            environment: As its environment variables say, in capitals.
        """
        actor = Actor(self.bucket, play, environment)
        self.actors.append(actor)
        return actor

    def alive(self) -> list[Actor]:
        """Return those that have not ended, in the order in which they came."""
        return [actor for actor in self.actors if actor.is_alive]

    def play(self, play: Callable[[CloudStorageAccessor], object], **environment: str) -> Any:
        """Play one process to its end while all others stand still."""
        return self.enter(play, **environment).finish()


def died(actor: Actor) -> bool:
    """Whether it was killed, rather than that it ended by itself."""
    return isinstance(actor.error, Killed)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
