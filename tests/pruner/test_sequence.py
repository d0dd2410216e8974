"""The grammar: what follows what, and which position it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pruner import LiveModel
from pruner.sequence import MediaChoice, Passage, Sequencer
from pruner.tokens import Modality, Role

VIDEO_PAD, AUDIO_PAD = 5, 3


@pytest.fixture
def sequencer(tiny_model: LiveModel) -> Sequencer:
    return Sequencer(tiny_model.facts, tiny_model.model.prompt)


def _everything(seconds: int, *, video: bool = True, audio: bool = True) -> MediaChoice:
    return MediaChoice(
        seconds,
        patches=seconds if video else 0,
        video=np.arange(9 * seconds if video else 0),
        audio=np.arange(25 * seconds if audio else 0),
        has_audio=audio,
    )


def _turn(sequencer: Sequencer, question: int, answer: int) -> list[Passage]:
    asked = [sequencer.before_question(), sequencer.question([20] * question)]
    return [*asked, sequencer.answer([30] * answer), sequencer.end([31])]


def _roles(passage: Passage) -> str:
    """One letter a run of equal roles: S U O(pen) M(edia) C(lose) Q H A."""
    letters = ["SUOCMQHA"[role] for role in passage.rows.role]
    return "".join(letter for index, letter in enumerate(letters) if index == 0 or letters[index - 1] != letter)


def test_a_conversation_is_what_get_rope_index_says(tiny_model: LiveModel, sequencer: Sequencer) -> None:
    parts = [sequencer.system("Watch.")]
    parts += [sequencer.window(_everything(2), new_segment=False) for _ in range(5)]
    parts += _turn(sequencer, 7, 3)
    parts += [sequencer.window(_everything(seconds), new_segment=False) for seconds in (2, 1)]
    parts += _turn(sequencer, 4, 1)
    parts += _turn(sequencer, 2, 2)
    parts.append(sequencer.window(_everything(1), new_segment=False))
    parts += _turn(sequencer, 3, 1)
    whole = Passage.join(parts)
    assert _roles(whole) == "SUOMCOMCQHAUOMCQHAUQHAUOMCQHA"
    ids = whole.ids.copy()
    ids[whole.rows.modality == Modality.VIDEO] = VIDEO_PAD
    ids[whole.rows.modality == Modality.AUDIO] = AUDIO_PAD
    thinker: Any = tiny_model.model.thinker
    seconds = torch.tensor([8, 2, 3, 1])
    found, _ = thinker.get_rope_index(
        torch.from_numpy(ids)[None],
        None,
        torch.stack((seconds, torch.full((4,), 6), torch.full((4,), 6)), dim=1),
        torch.ones(1, len(ids), dtype=torch.long),
        True,
        100 * seconds,
        torch.ones(4),
    )
    assert np.array_equal(whole.rows.position.T, found[:, 0].numpy())
    assert np.array_equal(whole.rows.sequence, np.arange(len(ids)))


def test_positions_of_what_was_not_kept_are_left_free(sequencer: Sequencer) -> None:
    few = MediaChoice(2, 2, np.array([0, 13]), np.array([7, 30]), has_audio=True)
    base = sequencer.window(few, new_segment=False)
    rows = base.rows.take(base.rows.media)
    start = int(rows.position[0, 0])
    assert rows.position.tolist() == [
        [start, start, start],
        [start + 25, start + 1, start + 1],
        [start + 7] * 3,
        [start + 30] * 3,
    ]
    assert rows.place.tolist() == [0, 13, 7, 30]
    assert int(sequencer.before_question().rows.position[0, 0]) == start + 50


@pytest.mark.parametrize(
    ("second", "new_segment", "roles"),
    [
        (_everything(2), False, "M"),
        (_everything(2), True, "COM"),
        (_everything(2, audio=False), False, "COM"),
        (_everything(1), False, "M"),
    ],
)
def test_when_a_segment_ends(sequencer: Sequencer, second: MediaChoice, new_segment: bool, roles: str) -> None:
    assert _roles(sequencer.window(_everything(2), new_segment=False)) == "UOM"
    assert _roles(sequencer.window(second, new_segment=new_segment)) == roles


def test_a_short_window_is_the_last_of_its_segment(sequencer: Sequencer) -> None:
    sequencer.window(_everything(1), new_segment=False)
    assert _roles(sequencer.window(_everything(2), new_segment=False)) == "COM"


def test_a_lone_track_has_its_own_wrapper(tiny_model: LiveModel, sequencer: Sequencer) -> None:
    prompt = tiny_model.model.prompt
    passage = sequencer.window(_everything(2, video=False), new_segment=False)
    opened = passage.ids[passage.rows.role == Role.OPEN].tolist()
    assert opened == prompt.open(video=False, audio=True)
    assert len(opened) == 1


def test_going_back_forgets_what_came_after(sequencer: Sequencer) -> None:
    sequencer.window(_everything(2), new_segment=False)
    before = sequencer.before_question()
    state = sequencer.state
    sequencer.question([20, 21])
    sequencer.state = state
    again = sequencer.window(_everything(2), new_segment=False)
    assert _roles(before) == "C"
    assert _roles(again) == "OM"
    assert again.rows.sequence[0] == before.rows.sequence[-1] + 1


def test_following_a_store_that_moved_positions(sequencer: Sequencer) -> None:
    first = sequencer.window(_everything(2), new_segment=False)
    sequencer.rebase(20)
    second = sequencer.window(_everything(2), new_segment=False)
    moved = first.rows.position[first.rows.media][0] + [50 - 20, -20, -20]
    assert second.rows.position[0].tolist() == moved.tolist()
