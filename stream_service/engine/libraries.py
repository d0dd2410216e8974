"""What takes most of an engine's start, done ahead of time: loading torch and transformers."""

from __future__ import annotations

import os
import threading


def load_ahead(niceness: int) -> threading.Thread:
    """Loads, in a thread of its own ``niceness``, all that an engine needs before it knows which model it will run."""
    thread = threading.Thread(target=_load, args=(niceness,), name="libraries")
    thread.start()
    return thread


def _load(niceness: int) -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    import transformers

    from pruner.families.omni import FAMILIES

    for name in ("AutoTokenizer", "GenerationConfig", *(family.thinker for family in FAMILIES)):
        getattr(transformers, name, None)  # transformers loads its parts when they are first named
