"""The grammar of a live conversation, written down as rows of the token table.

    S   <|im_start|>system\\n…<|im_end|>\\n
    U   <|im_start|>user\\n                              opened by the first window or question after a turn
    G*  <|vision_bos|><|audio_bos|>(V A)+<|audio_eos|><|vision_eos|>     a segment
    Q   question<|im_end|>\\n<|im_start|>assistant\\n      words, or <|audio_bos|>speech<|audio_eos|>
    A   answer<|im_end|>\\n                              then the next U

Pure host arithmetic: ids, roles and positions of what comes next. A `Sequencer` never looks at a store; its caller
tells it when a store has moved positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pruner.families.facts import ModelFacts
from pruner.families.positions import audio_ids, segment_end, text_ids, video_ids
from pruner.families.prompt import Prompt
from pruner.tokens import NONE, Modality, Role, TokenRows

__all__ = ["MEDIA_ID", "MediaChoice", "Passage", "SequenceState", "Sequencer", "media_order"]

MEDIA_ID = -1
"""Stands for an audiovisual token, or one of a spoken question, in `Passage.ids`."""


@dataclass(frozen=True)
class Passage:
    """A stretch of the sequence: its rows and, for text, its token ids.

    Attributes:
        rows: n rows.
        ids: int64 [n], token ids; `MEDIA_ID` where a token has an embedding of its own.
    """

    rows: TokenRows
    ids: npt.NDArray[np.int64]

    @classmethod
    def join(cls, parts: Sequence[Passage]) -> Passage:
        """The parts, one after the other; at least one."""
        rows = TokenRows.concatenate([part.rows for part in parts])
        return cls(rows, np.concatenate([part.ids for part in parts]))


def media_order(rows: TokenRows) -> npt.NDArray[np.int64]:
    """Where the rows' audiovisual tokens lie in a list of them by window, each window's video before its sound.

    Returns:
        int64 [m], for each audiovisual row in sequence order its place in that list.
    """
    chunk, modality = rows.chunk[rows.media], rows.modality[rows.media]
    place = np.empty(len(chunk), dtype=np.int64)
    place[np.lexsort((modality, chunk))] = np.arange(len(chunk))
    return place


@dataclass(frozen=True)
class MediaChoice:
    """A window as it enters the decoder.

    Attributes:
        seconds: its length.
        patches: temporal patches of its video; 0 without video.
        video: int64 [v], which of the `patches * rows * columns` video tokens stay, ascending.
        audio: int64 [a], which of the `25 * seconds` audio tokens stay, ascending.
        has_audio: whether there is sound; a window may keep none of it.
    """

    seconds: int
    patches: int
    video: npt.NDArray[np.int64]
    audio: npt.NDArray[np.int64]
    has_audio: bool


@dataclass(frozen=True)
class _Segment:
    number: int
    base: int
    video: bool
    audio: bool
    seconds: int = 0
    windows: int = 0
    short: bool = False


@dataclass(frozen=True)
class SequenceState:
    """Where a sequence stands; opaque to callers, who keep it to go back to."""

    next_id: int = 0
    sequence: int = 0
    turn: int = 0
    segments: int = 0
    chunk: int = 0
    in_user: bool = False
    open: _Segment | None = None


class Sequencer:
    """Where a conversation stands, and what its next rows are.

    Args:
        facts, prompt: of the model.

    Attributes:
        state: where it stands; may be set to an earlier state.
    """

    def __init__(self, facts: ModelFacts, prompt: Prompt) -> None:
        self._facts = facts
        self._prompt = prompt
        self.state = SequenceState()

    @property
    def chunk(self) -> int:
        """Number of the next window."""
        return self.state.chunk

    def rebase(self, shift: int) -> None:
        """Follows a store whose recent positions moved down by `shift`."""
        state = self.state
        moved = replace(state.open, base=state.open.base - shift) if state.open is not None else None
        self.state = replace(state, next_id=state.next_id - shift, open=moved)

    def continues(self, *, video: bool, audio: bool, new_segment: bool) -> bool:
        """Whether a window with these tracks would continue the open segment."""
        open_ = self.state.open
        if open_ is None or new_segment or open_.short or open_.windows >= self._facts.segment_windows:
            return False
        return (open_.video, open_.audio) == (video, audio)

    # Passages. Each moves the state on.

    def system(self, text: str) -> Passage:
        """S; the first passage of a conversation."""
        return self._text(self._prompt.system(text), Role.SYSTEM)

    def window(self, choice: MediaChoice, *, new_segment: bool) -> Passage:
        """A window, with the wrappers it needs before it."""
        video, audio = choice.patches > 0, choice.has_audio
        parts = []
        if not self.continues(video=video, audio=audio, new_segment=new_segment):
            parts += self._close()
            parts += self._user()
            parts.append(self._open(video=video, audio=audio))
        parts.append(self._media(choice))
        return Passage.join(parts)

    def before_question(self) -> Passage:
        """What must come before a question; may be without rows."""
        return Passage.join([self._text([], Role.USER), *self._close(), *self._user()])

    def question(self, ids: Sequence[int]) -> Passage:
        """Q, of the ids of a `pruner.question.QuestionTokens`."""
        return Passage.join([self._text(ids, Role.QUESTION), self._text(self._prompt.header, Role.HEADER)])

    def answer(self, ids: Sequence[int]) -> Passage:
        """Tokens of an answer."""
        return self._text(ids, Role.ANSWER)

    def end(self, ids: Sequence[int]) -> Passage:
        """The rest of an answer and what ends it; the turn is over."""
        passage = self._text([*ids, *self._prompt.end], Role.ANSWER)
        self.state = replace(self.state, turn=self.state.turn + 1, in_user=False)
        return passage

    # Parts.

    def _user(self) -> list[Passage]:
        if self.state.in_user:
            return []
        passage = self._text(self._prompt.user, Role.USER)
        self.state = replace(self.state, in_user=True)
        return [passage]

    def _open(self, *, video: bool, audio: bool) -> Passage:
        number = self.state.segments
        ids = self._prompt.open(video=video, audio=audio)
        passage = self._wrapper(ids, Role.OPEN, number, self.state.next_id)
        segment = _Segment(number, self.state.next_id, video, audio)
        self.state = replace(self.state, segments=number + 1, open=segment)
        return passage

    def _close(self) -> list[Passage]:
        open_ = self.state.open
        if open_ is None:
            return []
        ids = self._prompt.close(video=open_.video, audio=open_.audio)
        self.state = replace(self.state, open=None)
        return [self._wrapper(ids, Role.CLOSE, open_.number, self.state.next_id)]

    def _wrapper(self, ids: Sequence[int], role: Role, segment: int, at: int) -> Passage:
        shared = self._facts.shared_wrappers
        rows = self._rows(text_ids(at, len(ids), shared=shared), role=role, segment=segment)
        self.state = replace(self.state, next_id=at + (1 if shared else len(ids)))
        return Passage(rows, np.asarray(ids, dtype=np.int64))

    def _media(self, choice: MediaChoice) -> Passage:
        facts, open_ = self._facts, self.state.open
        assert open_ is not None, "a segment is open"
        video = video_ids(open_.base, open_.seconds, choice.patches, facts.rows, facts.columns, facts.audio_rate)
        audio = audio_ids(open_.base, open_.seconds, choice.seconds, facts.audio_rate)
        chunk = self.state.chunk
        parts = []
        for start in range(0, choice.seconds, facts.interleave_seconds):
            stop = start + facts.interleave_seconds
            for ids, kept, modality, rate in (
                (video, choice.video, Modality.VIDEO, facts.video_rate),
                (audio, choice.audio, Modality.AUDIO, facts.audio_rate),
            ):
                here = kept[(kept >= rate * start) & (kept < rate * stop)]
                parts.append(self._rows(ids[:, here], Role.MEDIA, open_.number, modality, chunk, here))
        rows = TokenRows.concatenate(parts)
        grown = replace(
            open_,
            seconds=open_.seconds + choice.seconds,
            windows=open_.windows + 1,
            short=choice.seconds < facts.window_seconds,
        )
        end = segment_end(
            grown.base,
            grown.seconds,
            facts.rows,
            facts.columns,
            video=grown.video,
            audio=grown.audio,
            rate=facts.audio_rate,
        )
        self.state = replace(self.state, next_id=end, chunk=chunk + 1, open=grown)
        return Passage(rows, np.full(len(rows), MEDIA_ID, dtype=np.int64))

    def _text(self, ids: Sequence[int], role: Role) -> Passage:
        numbers = np.asarray(ids, dtype=np.int64)
        made_from = np.where(numbers == MEDIA_ID, Modality.AUDIO, Modality.TEXT)
        rows = self._rows(text_ids(self.state.next_id, len(ids)), role, modality=made_from)
        self.state = replace(self.state, next_id=self.state.next_id + len(ids))
        return Passage(rows, numbers)

    def _rows(
        self,
        position: Tensor,
        role: Role,
        segment: int = NONE,
        modality: npt.ArrayLike = Modality.TEXT,
        chunk: int = NONE,
        place: npt.ArrayLike = NONE,
    ) -> TokenRows:
        rows = TokenRows.make(
            position.T.numpy(),
            sequence=self.state.sequence,
            role=role,
            turn=self.state.turn,
            modality=modality,
            chunk=chunk,
            segment=segment,
            place=place,
        )
        self.state = replace(self.state, sequence=self.state.sequence + len(rows))
        return rows
