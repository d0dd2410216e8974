"""How the C library hands out memory in the gateway, so that what threads free can be used again by other threads."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
"""From glibc's malloc.h; see mallopt(3)."""
_ARENAS = 2


def share() -> None:
    """From now on, let all threads of this process allocate from two arenas.

    By glibc's own choice there are eight to a core. Each source brings decoding threads of its own, which allocate
    pictures from whichever arena they happen on; each arena then keeps the most that it ever held, and the process
    grows for hours without a leak. Where the C library is another one, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl, macOS, Windows
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
