"""One conversation: its store, its place in the grammar, and what may be done when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pruner.compress import MergeState
from pruner.deep import beside
from pruner.encoder import StreamState
from pruner.errors import BudgetError, StateError
from pruner.eviction import EvictionReport
from pruner.families.omni import OmniModel
from pruner.passes import Extension
from pruner.placed import Place, PlacedWindow, PreparedWindow, compressed, extension
from pruner.question import QuestionTokens
from pruner.sequence import MEDIA_ID, MediaChoice, Passage, Sequencer, media_order
from pruner.store import FusionStore
from pruner.tokens import TokenRows
from pruner.transfer import Fetched
from pruner.windows import EncodedWindow, Tokens

__all__ = ["Conversation", "ConversationReport", "ConversationState", "require_budget"]


class ConversationState(Enum):
    """LISTENING ⇄ ANSWERING, and from either to CLOSED."""

    LISTENING = "listening"
    ANSWERING = "answering"
    CLOSED = "closed"


@dataclass(frozen=True)
class ConversationReport:
    """Figures of a conversation.

    Attributes:
        store_tokens, text_tokens: rows of the store.
        windows: windows still represented.
        coverage: share of past windows still represented.
        turns: committed turns.
        nbytes: of the store, whatever it holds.
    """

    store_tokens: int
    text_tokens: int
    windows: int
    coverage: float
    turns: int
    nbytes: int


class Conversation:
    """A live conversation; made by `LiveModel.open`, changed only through `LiveModel`.

    Attributes:
        model: the model it runs on.
        store: the fusion store.
        stream: what the encoders carry from window to window.
        state: see `ConversationState`.
        turns: committed turns.
    """

    def __init__(self, model: OmniModel, store: FusionStore) -> None:
        self.model = model
        self.store = store
        self.stream = StreamState()
        self.state = ConversationState.LISTENING
        self.turns = 0
        self._sequencer = Sequencer(model.facts, model.prompt)
        self._merge: MergeState | None = None

    def require(self, state: ConversationState, action: str) -> None:
        """Raises StateError unless the conversation is in `state`."""
        if self.state is not state:
            remedy = "commit the running turn first" if self.state is ConversationState.ANSWERING else "ask first"
            raise StateError(action, self.state.value, "open another" if self.closed else remedy)

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.state is ConversationState.CLOSED

    def report(self) -> ConversationReport:
        """Figures for a status page."""
        store = self.store
        return ConversationReport(store.media, store.text, len(store.chunks), store.coverage, self.turns, store.nbytes)

    @torch.inference_mode()
    def set_budget(self, budget: int) -> EvictionReport:
        """Changes the audiovisual token budget; a lower one evicts at once. The memory is allocated anew and copied, so
        that for a moment there are both.

        Returns:
            what left.

        Raises:
            StateError: a turn is running.
            BudgetError: less than one window.
        """
        self.require(ConversationState.LISTENING, "change the budget")
        require_budget(self.model, budget)
        return self.store.set_budget(budget)

    def close(self) -> None:
        """Ends the conversation; its memory is freed with the object."""
        self.state = ConversationState.CLOSED

    # The steps of LiveModel.

    def begin(self, system: str) -> Extension:
        """The first rows."""
        return self._extension(self._sequencer.system(system))

    def prepare(self, window: EncodedWindow) -> PreparedWindow:
        """Compresses a window and makes room for it: all that may be refused, and nothing a refusal must take back.

        Raises:
            BudgetError: there is no room.
        """
        video, audio = window.video is not None, window.audio is not None
        continued = self._sequencer.continues(video=video, audio=audio, new_segment=window.new_segment)
        seen, heard, merge = compressed(window, self._merge if continued else None, self.model.stack.device)
        chosen = Fetched(torch.cat((seen, heard)))
        kept = Tokens(len(seen), len(heard))  # how many follows from shapes; which, the device knows first
        wrappers = 4 + len(self.model.prompt.user)  # at most: eos of one segment, bos of the next, the user's header
        eviction = self._make_room(kept.total, wrappers, wrappers + window.seconds * self.model.facts.audio_rate)
        patches = len(window.video) if window.video is not None else 0
        places = chosen.numpy()  # the only wait: positions are kept on the host
        choice = MediaChoice(window.seconds, patches, places[: kept.video], places[kept.video :], audio)
        return PreparedWindow(window, choice, seen, heard, merge, kept, eviction)

    def place(self, prepared: PreparedWindow) -> PlacedWindow:
        """Gives a window its place."""
        window, choice, kept = prepared.window, prepared.choice, prepared.kept
        self._merge = prepared.merge
        if kept.total:
            end = window.start + window.seconds
            self.store.add_chunk(self._sequencer.chunk, window.start, end, window.seen.video, window.seen.audio)
        passage = self._sequencer.window(choice, new_segment=window.new_segment)
        rows = self._extension(passage, prepared.embeddings(), media_order(passage.rows))
        if window.deep is not None:
            deep = window.deep.flatten(0, 1)[prepared.video]
            rows = replace(rows, added=beside(passage.rows, deep))
        return PlacedWindow(rows, window.seen, kept, prepared.eviction)

    def make_room_to_ask(self, question: QuestionTokens, answer: int) -> None:
        """Makes room for a question and an answer of at most `answer` tokens.

        Raises:
            BudgetError: there is no room; the grammar stands where it stood.
        """
        prompt = self.model.prompt
        rows = 2 + len(prompt.user) + len(question.ids) + len(prompt.header) + answer + len(prompt.end)
        self._make_room(0, rows, rows)

    def ask(self, question: QuestionTokens) -> tuple[Extension, Place]:
        """Gives a question its place, for which room was made.

        Returns:
            the rows, and the place just before the question.
        """
        before = self._sequencer.before_question()
        place = self.here()
        place = replace(place, mark=replace(place.mark, length=place.mark.length + len(before.rows)))
        self._merge = None
        self.state = ConversationState.ANSWERING
        passage = Passage.join([before, self._sequencer.question(question.ids)])
        return self._extension(passage, question.speech), place

    def here(self) -> Place:
        """The present place."""
        return Place(self.store.mark(), self._sequencer.state)

    def answer(self, ids: list[int]) -> Extension:
        """Answer tokens on their way through the shallow layers."""
        return self._extension(self._sequencer.answer(ids))

    def answer_row(self) -> TokenRows:
        """The row of one answer token, which the host need not know yet."""
        return self._sequencer.answer([MEDIA_ID]).rows

    def retract(self, question: Place) -> None:
        """Takes a question back, as if it had never been asked."""
        self.store.truncate(question.mark)
        self._sequencer.state = question.state
        self.state = ConversationState.LISTENING

    def end(self, answer: Place, held: list[int], missing: list[int]) -> Extension:
        """Ends a turn.

        Args:
            answer: where the answer began.
            held: the answer's tokens that are in the store and stay; later ones are taken out.
            missing: the answer's tokens that the store does not hold yet.
        """
        self.store.truncate(replace(answer.mark, length=answer.mark.length + len(held)))
        self._sequencer.state = answer.state
        self._sequencer.answer(held)
        extension = self._extension(self._sequencer.end(missing))
        self.turns += 1
        self.state = ConversationState.LISTENING
        return extension

    # Parts.

    def _make_room(self, media: int, text: int, ids: int) -> EvictionReport:
        """Lets the store evict and re-base so that so many rows and position ids fit."""
        report = self.store.evict_for(media=media, text=text)
        limit = self.model.facts.position_limit
        self._sequencer.rebase(self.store.rebase(limit=limit, next_id=self._sequencer.state.next_id, need=ids))
        return report

    def _extension(
        self, passage: Passage, own: Tensor | None = None, places: npt.NDArray[np.int64] | None = None
    ) -> Extension:
        """Rows for the store; see `pruner.placed.extension`."""
        return extension(self.model.stack, self.store, passage, own, places)


def require_budget(model: OmniModel, budget: int) -> None:
    """Raises BudgetError unless `budget` holds the raw tokens of a full window."""
    facts = model.facts
    needed = facts.window_seconds * (facts.video_rate + facts.audio_rate)
    if budget < needed:
        raise BudgetError("audiovisual budget", needed=needed, available=budget)
