"""Each event once, whatever the broker delivers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_SESSIONS = 1024


class Once:
    """Tells events apart by ``session`` and ``seq``.

    MQTT's QoS 1 means at least once, and so a message may come again. Events of a session come in order, so the number
    of the last one is all there is to remember; the sessions heard last are remembered.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()

    def fresh(self, event: dict[str, Any]) -> bool:
        """Whether this event comes for the first time; takes note of it."""
        session, seq = event["session"], event["seq"]
        if seq <= self._last.get(session, 0):
            return False
        self._last[session] = seq
        self._last.move_to_end(session)
        if len(self._last) > _SESSIONS:
            self._last.popitem(last=False)
        return True
