"""One session as the gateway remembers it: what it takes to rebuild it in another process, in the order it happened."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from stream_service.engine.messages import Asked, Command, Feed
from stream_service.engine.packing import PackedWindow, pack
from stream_service.errors import OmniDropError
from stream_service.types import CancelReason, Question, Resized, SessionSettings, Span, Window

Pending = asyncio.Future[None]
Opening = asyncio.Future[int]
"""Gives the bytes that the session takes at most."""

AHEAD = 4
"""Windows of one session that may be on their way to be fused again: enough to keep the engine busy."""
TRIES = 2
"""Processes that a question may be given to: it is asked again once."""


@dataclass(slots=True, eq=False)
class Held:
    """A window that is kept; ``given`` counts the processes that got it."""

    index: int
    seconds: int
    content: Window | PackedWindow
    given: int = 0

    def pack(self) -> None:
        """Makes it small; may run in another thread, since whoever reads meanwhile gets the whole window."""
        if isinstance(self.content, Window):
            self.content = pack(self.content)


@dataclass(slots=True, eq=False)
class Asking:
    """A question that has not ended. ``asked`` is monotonic seconds, ``behind`` the newest window before it."""

    question: Question
    asked: float
    behind: int
    tries: int = 0
    published: list[str] = field(default_factory=list)
    ending: CancelReason | None = None
    """The engine was told to end it, and has not confirmed it."""


@dataclass(frozen=True, slots=True)
class Resizing:
    """A change of the budget that the engine was asked for; ``hold_s`` seconds of media are kept for the new one."""

    hold_s: float
    done: asyncio.Future[Resized]


class Tenant:
    """One session.

    Args:
        settings: what it was opened with.
        hold_s: seconds of media kept; what is older is let go.
        opening: resolved by the engine's reply.
        ahead: windows that may be on their way to be fused again.
    """

    def __init__(self, settings: SessionSettings, hold_s: float, opening: Opening, ahead: int = AHEAD) -> None:
        self.settings = settings
        self._ahead = ahead
        self.opening = opening
        self.closing: Pending | None = None
        self.resizing: Resizing | None = None
        self.asking: dict[str, Asking] = {}
        """Its open questions by id, oldest first."""
        self._hold_s = hold_s
        self._held: deque[Held] = deque()
        self._seconds = 0
        self._newest = -1
        self._due: deque[Held | Asking] = deque()
        self._in_flight: deque[int] = deque()
        self._fused = -1
        self._lost: list[Span] = []
        self._failures = 0

    # ---- what comes in

    @property
    def behind(self) -> bool:
        """Whether something waits to be sent, so that what comes now must wait behind it."""
        return bool(self._due)

    @property
    def asks(self) -> bool:
        """Whether any question waits to be sent."""
        return any(isinstance(item, Asking) for item in self._due)

    def waits(self, asking: Asking) -> bool:
        """Whether a question waits to be sent."""
        return asking in self._due

    def keep(self, windows: Sequence[Window], *, sent: bool) -> tuple[list[Held], int]:
        """Remembers windows; those not ``sent`` now will be by :meth:`next`.

        Returns:
            What was made of them, to be packed, and how many windows were let go that were still to be sent.
        """
        made = [Held(one.index, max(1, math.ceil(one.end - one.start)), one, int(sent)) for one in windows]
        for held in made:
            self._held.append(held)
            self._seconds += held.seconds
            self._newest = held.index
            if not sent:
                self._due.append(held)
        skipped = 0
        while self._seconds > self._hold_s:
            skipped += self._let_go(self._held[0])
        return [held for held in made if held in self._held], skipped

    def ask(self, question: Question, asked: float, *, sent: bool) -> Asking:
        """Remembers a question about all windows so far; one not ``sent`` now will be by :meth:`next`."""
        asking = self.asking[question.id] = Asking(question, asked, self._newest, int(sent))
        if not sent:
            self._due.append(asking)
        return asking

    def end(self, question: str) -> Asking | None:
        """A question is over. None when it was not open."""
        asking = self.asking.pop(question, None)
        if asking is not None and asking in self._due:
            self._due.remove(asking)
        return asking

    def resized(self, event: Resized) -> None:
        """The engine has changed the budget: a process that follows is told the new one."""
        if self.resizing is not None:
            resizing, self.resizing = self.resizing, None
            self.settings = replace(self.settings, budget=event.budget)
            self._hold_s = resizing.hold_s  # what is too much now goes when the next window comes
            resizing.done.set_result(event)

    def not_resized(self, error: OmniDropError) -> None:
        """The budget stays what it was."""
        if self.resizing is not None:
            resizing, self.resizing = self.resizing, None
            resizing.done.set_exception(error)
            resizing.done.exception()  # whoever waited may have gone: that is no reason for a warning

    # ---- what goes out

    def next(self, now: float) -> Iterator[Command]:
        """What may be sent now of what waits, ``ahead`` windows before the engine has fused the first of them."""
        while self._due:
            item = self._due[0]
            if isinstance(item, Asking):
                item.tries += 1
                self._due.popleft()
                yield Asked(item.question, (), item.asked, now)
            elif len(self._in_flight) < self._ahead:
                item.given += 1
                self._in_flight.append(item.index)
                self._due.popleft()
                yield Feed(item.content)
            else:
                return

    def fused(self, index: int) -> None:
        """The engine has fused a window, and done away with those before it."""
        self._fused = max(self._fused, index)
        while self._in_flight and self._in_flight[0] <= index:
            self._in_flight.popleft()
        if not self._due and not self._in_flight:
            self._failures = 0

    def idle(self) -> None:
        """The engine has no window of this session waiting: those it refused will not be told of as fused."""
        self._in_flight.clear()

    # ---- when a process is gone

    def crashed(self) -> list[Asking]:
        """Lines everything held up again, less what seems to have killed the engine.

        Returns:
            The questions that end: those that were being cancelled, and those that had ``TRIES`` processes.
        """
        over = [asking for asking in self.asking.values() if asking.ending or asking.tries >= TRIES]
        for asking in over:
            self.end(asking.question.id)
        suspects = [held for held in self._held if held.given > 1 and held.index > self._fused]
        if suspects and not any(asking.tries >= TRIES and asking.behind <= self._fused for asking in over):
            self._failures += 1
            for held in suspects[:1] if self._failures == 1 else suspects:
                self._let_go(held)
        self._in_flight.clear()
        self._fused = -1
        self._line_up()
        return over

    def rebuild(self) -> tuple[int, tuple[Span, ...]]:
        """A new process begins: windows that it will be given, and those that are gone since the last one did."""
        lost, self._lost = self._lost, []
        merged: list[Span] = []
        for span in sorted(lost, key=lambda span: span.first):
            if merged and merged[-1].last == span.first - 1:
                merged[-1] = Span(merged[-1].first, span.last)
            else:
                merged.append(span)
        return len(self._held), tuple(merged)

    def _line_up(self) -> None:
        """Each question behind the windows that it was asked about; if none of them is left, behind the first."""
        self._due.clear()
        rest = deque(self._held)
        for asking in self.asking.values():
            while rest and (rest[0].index <= asking.behind or not self._due):
                self._due.append(rest.popleft())
            self._due.append(asking)
        self._due.extend(rest)

    def _let_go(self, held: Held) -> bool:
        """Returns whether it was still to be sent."""
        self._held.remove(held)
        self._seconds -= held.seconds
        if self._lost and self._lost[-1].last == held.index - 1:
            self._lost[-1] = Span(self._lost[-1].first, held.index)
        else:
            self._lost.append(Span(held.index, held.index))
        if held not in self._due:
            return False
        self._due.remove(held)
        return True
