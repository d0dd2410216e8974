"""What was shown is in the log, whenever its writer is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_service.answers.store_export import export
from tests.stream_service.answers.stores import url_of

pytestmark = [pytest.mark.default, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("OMNIDROP_TEST_KILLS", "4"))


def test_no_shown_event_is_lost_or_doubled_by_kill(tmp_path: Path) -> None:
    url = url_of("sqlite", tmp_path)
    shown: list[int] = []
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.stream_service.answers.writing", url]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _, line in zip(range(50 + 37 * kill % 100), writer.stdout, strict=False):
                shown.append(int(line))
            writer.kill()
            shown += [int(line) for line in writer.stdout if line.endswith("\n")]
        logged = len(list(export(url, "porch")))
        # Seen by nobody, but logged: the next run goes on after it, so its number is not used twice.
        assert logged >= shown[-1]
        shown += range(shown[-1] + 1, logged + 1)
    assert shown == list(range(1, logged + 1))
    assert [f'"seq":{seq},' in line for seq, line in enumerate(export(url, "porch"), 1)] == [True] * logged
