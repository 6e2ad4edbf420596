"""Watching over a run's ranks: the signal to leave, and signs of life between the ranks.

Every rank has a thread that writes a sign of life into the process group's store twice a second, with the place the training has
reached. Rank 0 looks at all of them and the others at rank 0, so that the store sees two requests per rank and tick. A rank
that falls silent is lost; where all are alive and none gets any further the run hangs, and those behind the others are
named. Either way the process ends with LOST_RANK: a thread cannot free the others from a collective that never ends.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from assets.recipe.reliability import LOST_RANK, PREEMPTED, Watching

BEAT_SECONDS = 0.5
STAGES = ("waiting for data", "computing", "exchanging results", "updating weights", "saving", "failing")
FAILING = STAGES.index("failing")
FAILURE_SECONDS = 3.0
"""Silence that counts as the loss of a rank, once a collective of another rank has failed."""


class Leaving:
    """The request to leave, by SIGTERM. Before training starts there is nothing to save and the process ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self.training = False

    def listen(self) -> None:
        """Take SIGTERM from whoever handled it so far; Lightning's own handler ends one rank without the others."""
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if not self.training:
            os._exit(PREEMPTED)


@dataclass
class Sign:
    """The last sign of life of a rank, and when it was first seen here."""

    count: int = -1
    seen: float = 0.0
    step: int = 0
    stage: int = 0
    name: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return self.step, self.stage


class Watch:
    """This rank's signs of life, and its eye on others. ``say`` tells people why a run ends; rank 0 has the channel."""

    def __init__(self, store: Any, rank: int, ranks: int, settings: Watching, say: Callable[[str], None]) -> None:
        self.store, self.rank, self.ranks, self.settings, self.say = store.clone(), rank, ranks, settings, say
        self.place = (0, 0)
        self.name = f"rank {rank} (process {os.getpid()} on {socket.gethostname()})"
        now = time.monotonic()
        watched = [other for other in range(ranks) if other != rank] if rank == 0 else [0]
        self.signs = {other: Sign(seen=now, name=f"rank {other}") for other in watched}
        self.moved = now
        self.count = 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        if self.ranks > 1:
            self.thread.start()

    def at(self, step: int, stage: str) -> None:
        """This rank has reached a stage of a step. Costs nothing: the thread tells the others."""
        self.place = (step, STAGES.index(stage))

    def stop(self) -> None:
        """End the watch, before ranks leave one by one."""
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()

    def _run(self) -> None:
        last = self.place
        while not self.over.wait(self._pause()):
            try:
                with self.lock:
                    self._beat()
                    self._look()
                    judged = bool(self.rank) and self.store.check(["verdict"])
            except Exception as error:
                if self.over.is_set():
                    return
                self._end(f"{self._keeper()}, which keeps the store, does not answer ({type(error).__name__})")
            if judged:
                os._exit(LOST_RANK)
            if self.place != last:
                last, self.moved = self.place, time.monotonic()
            problem = self._problem(time.monotonic())
            if problem:
                self._end(problem)

    def _pause(self) -> float:
        """Seconds to the next look; short ones until every watched rank was heard, so that it can be named from then on."""
        return BEAT_SECONDS if all(sign.count >= 0 for sign in self.signs.values()) else BEAT_SECONDS / 10

    def _keeper(self) -> str:
        return self.signs[0].name if self.rank else self.name

    def _beat(self) -> None:
        self.count += 1
        self.store.set(f"sign/{self.rank}", json.dumps([self.count, *self.place, self.name]))

    def _look(self) -> None:
        """Read the signs of those this rank watches; a place that changed anywhere is progress."""
        for other, sign in self.signs.items():
            if sign.count < 0 and self.store.check([f"sign/{other}"]):
                sign.count = 0
        known = [other for other, sign in self.signs.items() if sign.count >= 0]
        if not known:
            return
        now = time.monotonic()
        for other, raw in zip(known, self.store.multi_get([f"sign/{other}" for other in known]), strict=True):
            count, step, stage, name = json.loads(raw)
            if (step, stage) != self.signs[other].place:
                self.moved = now
            if count != self.signs[other].count:
                self.signs[other] = Sign(count, now, step, stage, name)

    def silent(self, seconds: float) -> list[Sign]:
        """The watched ranks that gave no sign of life for so long."""
        now = time.monotonic()
        return [sign for sign in self.signs.values() if now - sign.seen > seconds]

    def _problem(self, now: float) -> str | None:
        fails = any(sign.stage == FAILING for sign in self.signs.values())
        silent = self.silent(
            min(FAILURE_SECONDS, self.settings.silent_seconds) if fails else self.settings.silent_seconds
        )
        if silent:
            return "; ".join(
                f"{sign.name} has given no sign of life for {now - sign.seen:.0f} s; it was last {STAGES[sign.stage]} in step "
                f"{sign.step}"
                for sign in silent
            )
        if self.rank == 0 and now - self.moved > 60 * self.settings.hang_minutes:
            signs = [*self.signs.values(), Sign(0, now, *self.place, self.name)]
            least = min(sign.place for sign in signs)
            behind = [sign for sign in signs if sign.place == least]
            who = (
                ", ".join(sign.name for sign in behind)
                if len(behind) < len(signs)
                else "no rank is behind the others; all"
            )
            return (
                f"no rank got any further for {now - self.moved:.0f} s: {who} at {STAGES[least[1]]} in step {least[0]}"
            )
        return None

    def explain(self, seconds: float = 2.5) -> str | None:
        """After a collective failed: which rank is lost, or None where all are alive and the fault is another one.

        Rank 0 finds out and lets the others know, who have an eye on rank 0 only.
        """
        asked = time.monotonic()
        deadline = asked + seconds + (FAILURE_SECONDS + 4 * BEAT_SECONDS if self.rank else 0)
        self.place = (self.place[0], FAILING)
        while time.monotonic() < deadline:
            time.sleep(BEAT_SECONDS)
            try:
                with self.lock:
                    self._look()
                    if self.rank and self.store.check(["verdict"]):
                        found: str = self.store.get("verdict").decode()
                        return found
            except Exception:
                return f"{self._keeper()}, which keeps the store, is gone"
        lost = [sign for sign in self.signs.values() if sign.seen < asked + BEAT_SECONDS]
        if not lost:
            return None
        named = "; ".join(f"{sign.name} is gone; it was last {STAGES[sign.stage]} in step {sign.step}" for sign in lost)
        self._tell(named)
        return named

    def _tell(self, problem: str) -> None:
        """Rank 0 lets the others know, and stays until they have heard of it: it may be the one that keeps the store."""
        if self.rank == 0:
            self.store.set("verdict", problem)
            time.sleep(2 * BEAT_SECONDS)

    def _end(self, problem: str) -> None:
        """Say what is wrong, let the others know, and end this process."""
        self.say(f"error: {problem}. The run ends; started again, it goes on from its last state.")
        sys.stderr.flush()
        self._tell(problem)
        os._exit(LOST_RANK)
