"""What remains after text or scenes leave is still `S (U G* Q A)*`."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pruner.grammar import idle_wrappers, text_leaving
from pruner.tokens import NONE, Modality, Role, TokenRows

LETTER = {
    Role.SYSTEM: "S", Role.USER: "U", Role.OPEN: "(", Role.CLOSE: ")",
    Role.MEDIA: "m", Role.QUESTION: "q", Role.HEADER: "h", Role.ANSWER: "a",
}  # fmt: skip
WELL_FORMED = re.compile(r"S+(U(\(m+\))*q+h+a+)*(U(\(m+\))*(\(m*)?)?")


def build(script: str) -> TokenRows:
    """Rows from letters; turns start at U, segments at an opening bracket."""
    roles = [next(role for role, letter in LETTER.items() if letter == one) for one in script]
    turn = np.cumsum([one == "U" for one in script]) - 1
    segment = np.cumsum([one == "(" for one in script]) - 1
    inside = np.isin(list(script), ["(", ")", "m"])
    media = np.asarray(list(script)) == "m"
    return TokenRows.make(
        np.arange(len(script)), sequence=0, role=roles, turn=turn, segment=np.where(inside, segment, NONE),
        chunk=np.where(media, np.cumsum(media) - 1, NONE), modality=np.where(media, Modality.VIDEO, Modality.TEXT),
    )  # fmt: skip


def spell(rows: TokenRows) -> str:
    return "".join(LETTER[Role(int(role))] for role in rows.role)


def turn_of(segments: list[int], question: int, answer: int) -> str:
    return "U" + "".join(f"({'m' * size})" for size in segments) + "q" * question + "h" + "a" * answer


TURN = st.builds(turn_of, st.lists(st.integers(1, 3), max_size=3), st.integers(1, 4), st.integers(1, 4))
SCRIPTS = st.builds(
    lambda turns, tail: "SS" + "".join(turns) + tail,
    st.lists(TURN, max_size=5),
    st.sampled_from(["", "U", "U(mm", "U(m)", "U(m)(m", "U("]),
)


@settings(max_examples=50, deadline=None)
@given(SCRIPTS, st.integers(0, 40))
def test_leaving_text_leaves_a_well_formed_sequence(script: str, excess: int) -> None:
    rows = build(script)
    assert WELL_FORMED.fullmatch(script)
    leaving, turn = text_leaving(rows, excess)
    after = rows.take(~leaving)
    assert WELL_FORMED.fullmatch(spell(after)), spell(after)
    assert (np.diff(turn[~leaving]) >= 0).all()
    turns_of_wrappers = turn[~leaving][after.role == Role.USER]
    assert len(set(turns_of_wrappers.tolist())) == len(turns_of_wrappers)
    if np.count_nonzero(leaving & ~rows.media) < excess:  # nothing was left that could still go
        assert len(np.unique(after.turn[np.isin(after.role, (Role.QUESTION, Role.ANSWER))])) <= 1
        assert len(np.unique(after.segment[after.media])) <= 1


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.integers(0, 99), st.integers(1, 4), st.integers(0, 3))
def test_scenes_may_leave_again_and_again(script: str, seed: int, joined: int, recent: int) -> None:
    rows, random = build(script), np.random.default_rng(seed)
    for _ in range(3):
        rows = rows.take(~rows.media | (random.random(len(rows)) < 0.5))
        rows = rows.take(~idle_wrappers(rows, joined=joined, recent=recent))
        assert WELL_FORMED.fullmatch(spell(rows)), spell(rows)


def test_a_scene_leaves_with_its_wrapper() -> None:
    rows = build("SU(m)(mm)(m)qhaU(m")
    rows = rows.take(rows.sequence != 3)
    assert spell(rows.take(~idle_wrappers(rows, joined=1, recent=0))) == "SU(mm)(m)qhaU(m"


def test_the_open_segment_keeps_its_wrapper_without_scenes() -> None:
    rows = build("SU(")
    assert not idle_wrappers(rows, joined=8, recent=0).any()


def test_thinned_neighbours_are_joined_up_to_a_whole_segment() -> None:
    rows = build("SU(m)(m)(m)(m)(m)qhaU(m)(m)(m")
    assert spell(rows.take(~idle_wrappers(rows, joined=3, recent=0))) == "SU(mmm)(mm)qhaU(mm)(m"
    assert spell(rows.take(~idle_wrappers(rows, joined=3, recent=5))) == "SU(mmm)(m)(m)qhaU(m)(m)(m"


def test_segments_of_other_tracks_are_not_joined() -> None:
    rows = build("SU(m)(m)(m)")
    rows.modality[rows.sequence == 6] = Modality.AUDIO
    assert spell(rows.take(~idle_wrappers(rows, joined=8, recent=0))) == "SU(m)(m)(m)"
    both = build("SU((m))((m))")
    both.modality[both.sequence == 9] = Modality.AUDIO
    assert spell(both.take(~idle_wrappers(both, joined=8, recent=0))) == "SU((mm))"


def test_scenes_of_a_forgotten_turn_continue_into_the_next() -> None:
    rows = build("SU(mm)qhaU(m)qhaU(m")
    leaving, turn = text_leaving(rows, 3)
    assert spell(rows.take(~leaving)) == "SU(mm)(m)qhaU(m"
    assert turn[~leaving].tolist() == [-1] + [1] * 11 + [2] * 3


def test_a_turn_of_text_only_leaves_whole() -> None:
    rows = build("SUqqhaaUqhaU(m")
    leaving, _ = text_leaving(rows, 1)
    assert spell(rows.take(~leaving)) == "SUqhaU(m"


def test_the_newest_turn_keeps_its_text_while_its_scenes_have_no_heir() -> None:
    rows = build("SU(m)qha")
    assert not text_leaving(rows, 1)[0][rows.role == Role.QUESTION].any()


def test_many_short_segments_thin_evenly_when_wrappers_fill_the_text_bound() -> None:
    rows = build("SU" + "(m)" * 9)
    leaving, _ = text_leaving(rows, 8)
    assert spell(rows.take(~leaving)) == "SU" + "(m)" * 5
    assert rows.segment[~leaving & rows.media].tolist() == [0, 2, 4, 7, 8]


def test_the_newest_segment_never_leaves() -> None:
    rows = build("SU(m)(m")
    assert spell(rows.take(~text_leaving(rows, 9)[0])) == "SU(m"
