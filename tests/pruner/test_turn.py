"""Text that comes token by token, and the lifecycle of a turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pruner import StateError, TurnState
from pruner.turn import _Writing


def _bytes(ids: Sequence[int]) -> str:
    """A byte-level tokenizer at its smallest: an id is a byte."""
    return bytes(ids).decode("utf-8", errors="replace")


@pytest.mark.parametrize("text", ["plain", "é", "a 狗 and 🙂!", "naïve café"])
def test_pieces_join_to_the_text_and_no_piece_is_half_a_character(text: str) -> None:
    writing, raw = _Writing(_bytes), list(text.encode())
    pieces = [writing.push(raw[: end + 1], last=end + 1 == len(raw)) for end in range(len(raw))]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_an_answer_cut_inside_a_character_shows_it() -> None:
    writing = _Writing(_bytes)
    assert writing.push(list(b"a\xe7"), last=False) == ""
    assert writing.push(list(b"a\xe7\x8b"), last=True) == "a\ufffd"


def test_an_end_without_a_new_token_adds_what_was_held_back() -> None:
    writing = _Writing(_bytes)
    assert writing.push(list(b"ok"), last=False) == "ok"
    assert writing.push(list(b"ok"), last=True) == ""
    assert writing.push(list(b"ok\xc3"), last=False) == ""
    assert writing.push(list(b"ok\xc3"), last=True) == "\ufffd"


def test_a_turn_ends_once() -> None:
    assert TurnState.RUNNING.to(TurnState.DONE).to(TurnState.COMMITTED) is TurnState.COMMITTED
    for target in TurnState:
        with pytest.raises(StateError):
            TurnState.COMMITTED.to(target)
