"""LiveModel: OmniDrop over live streams, batched over conversations.

    model = LiveModel.load("path/to/model")
    conversation = model.open(budget=4000)
    (window,) = model.encode([(conversation, RawWindow(0.0, frames, samples))])
    model.fuse([(conversation, window)])
    (turn,) = model.guide([Ask(conversation, "What colour is the circle?")])
    while not (step := model.step([turn])[0]).done:
        print(step.text, end="")
    model.commit(turn)

Every method either does what it says for all its items or raises a `PrunerError` before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from pruner.asking import WRAPPERS, Ask, check_question
from pruner.conversation import Conversation, ConversationState, require_budget
from pruner.decoder import LayeredDecoder
from pruner.encoder import WindowEncoder
from pruner.errors import BudgetError, InputError, StateError
from pruner.families.facts import ModelFacts
from pruner.families.omni import OmniModel
from pruner.fixed import FixedPasses
from pruner.graphs import GraphPool
from pruner.options import LiveOptions, TurnOptions
from pruner.passes import Extension
from pruner.placed import PlacedWindow
from pruner.report import Record
from pruner.sizes import Sizes
from pruner.speaking import Speaker
from pruner.turn import Step, Turn, TurnState
from pruner.windows import EncodedWindow, FuseReport, RawWindow

__all__ = ["Ask", "LiveModel"]


class LiveModel:
    """A model that serves live conversations; one a process.

    Args:
        model: a loaded family.
        options: see `LiveOptions`.

    Attributes:
        model: as given.
        facts: what the model is.
        options: as given.
    """

    def __init__(self, model: OmniModel, options: LiveOptions | None = None) -> None:
        self.options = options or LiveOptions()
        self.facts: ModelFacts = model.facts
        self.model = model
        self._sizes = Sizes(model.stack, model.facts, self.options)
        self._pool = self._graphs()
        self._encoder = WindowEncoder(model, self._pool, still_change=self.options.still_change)
        self._fixed = self._passes()
        self._decoder = LayeredDecoder(model.stack, model.facts.fusion_depth, self._fixed)
        self._speaker = Speaker(self._decoder)
        self.check(self.options.turn)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        options: LiveOptions | None = None,
    ) -> LiveModel:
        """Reads a model directory or a model of the Hugging Face hub (see `OmniModel.load`).

        Raises:
            WeightsError, UnsupportedModelError, DeviceMemoryError, InputError: see `OmniModel.load`.
            ScheduleError: see `check`.
        """
        chosen = options or LiveOptions()
        model = OmniModel.load(
            path,
            revision=revision,
            device=device,
            dtype=dtype,
            fusion_depth=chosen.fusion_depth,
            frame_size=chosen.frame_size,
            frame_tokens=chosen.frame_tokens,
        )
        return cls(model, chosen)

    @property
    def records(self) -> bool:
        """Whether passes run as graphs, so that the third one of a size is the first at full speed."""
        return self._pool is not None and self._pool.capture

    def check(self, options: TurnOptions) -> None:
        """Refuses options that no question could be answered with.

        Raises:
            ScheduleError: a deep share out of the schedule's reach.
        """
        options.check(self.facts.layers, self.facts.fusion_depth)

    def session_bytes(self, budget: int) -> int:
        """Bytes of one conversation at `budget`: its store, the deep cache of a turn at its largest, and the video
        tokens that are kept for a picture that stands still."""
        return self._sizes.session_bytes(budget)

    def shared_bytes(self, budget: int) -> int:
        """Bytes that conversations of at most `budget` share: the memory of passes in fixed shapes, without the pool of
        their graphs. It comes to be with the first conversation and grows with the largest budget."""
        if self._fixed is None:
            return 0
        return self._fixed.bytes_for(*self._sizes.rows(budget))

    @torch.inference_mode()
    def open(self, *, budget: int, system: str | None = None) -> Conversation:
        """Starts a conversation.

        Args:
            budget: audiovisual tokens it may keep.
            system: system prompt; None for the model's own.

        Raises:
            BudgetError: the budget does not hold one window, or the system prompt leaves no room for a turn.
        """
        require_budget(self.model, budget)
        conversation = Conversation(self.model, self._sizes.store(budget))
        first = conversation.begin(self.facts.system if system is None else system)
        answer = self.options.turn.max_tokens or self.facts.max_answer_tokens
        needed = len(first.rows) + self.options.max_question_tokens + answer + WRAPPERS
        if needed > self.options.max_text_tokens:
            raise BudgetError("max_text_tokens", needed=needed, available=self.options.max_text_tokens)
        if self._fixed is not None:
            self._fixed.reserve(*self._sizes.rows(budget))
        self._decoder.fuse([first])
        return conversation

    def encode(self, items: Sequence[tuple[Conversation, RawWindow]]) -> list[EncodedWindow]:
        """Runs the towers. Allowed at any time; at most one window of a conversation.

        Raises:
            InputError: a window is malformed.
            StateError: a conversation is closed.
        """
        _distinct([conversation for conversation, _ in items])
        for conversation, window in items:
            window.check(self.facts.window_seconds)
            if conversation.closed:
                raise StateError("encode", conversation.state.value, "open another")
        facts = self.facts
        pairs = [(conversation.stream, window) for conversation, window in items]
        if facts.fill_missing_tracks:
            pairs = [(stream, window.filled(facts.height, facts.width)) for stream, window in pairs]
        return self._encoder.encode(pairs)

    @torch.inference_mode()
    def fuse(self, items: Sequence[tuple[Conversation, EncodedWindow]]) -> list[FuseReport]:
        """Gives windows their place and runs the shallow layers; at most one window of a conversation.

        Raises:
            StateError: a conversation is answering or closed.
        """
        _distinct([conversation for conversation, _ in items])
        for conversation, _ in items:
            conversation.require(ConversationState.LISTENING, "fuse a window")
        prepared = [conversation.prepare(window) for conversation, window in items]  # all that may be refused
        placed: list[PlacedWindow] = []

        def extensions() -> Iterator[Extension]:
            for (conversation, _), one in zip(items, prepared, strict=True):
                placed.append(conversation.place(one))
                yield placed[-1].extension

        self._decoder.fuse(extensions())
        return [one.report() for one in placed]

    @torch.inference_mode()
    def guide(self, items: Sequence[Ask]) -> list[Turn]:
        """Asks questions; at most one of a conversation. The answer's first token is then taken by `step`.

        Raises:
            InputError: a question is empty or too long, or speech that the model cannot take.
            StateError: a conversation is answering or closed.
            ScheduleError: a `retention` that cannot be reached.
        """
        _distinct([item.conversation for item in items])
        asked = [check_question(item, self.options) for item in items]
        for one in asked:
            one.conversation.make_room_to_ask(one.tokens, one.limit)  # all that may be refused, before anything changes
        guides = [one.guidance() for one in asked]
        placed = [one.conversation.ask(one.tokens) for one in asked]
        queries = [one.query(guide, rows) for one, guide, (rows, _) in zip(asked, guides, placed, strict=True)]
        turns = []
        for one, guidance, (_, question), guided in zip(
            asked, guides, placed, self._decoder.guide(queries), strict=True
        ):
            record = Record.of(one.conversation.store, self.facts.fusion_depth, guided.alive)
            turns.append(
                Turn(
                    one.conversation,
                    guided.logits,
                    guided.cache,
                    record,
                    guidance,
                    question=question,
                    limit=one.limit,
                )
            )
        return turns

    def step(self, turns: Sequence[Turn]) -> list[Step]:
        """Takes one more answer token of each turn.

        Raises:
            StateError: a turn is done or committed.
        """
        return self._speaker.step(turns)

    @torch.inference_mode()
    def commit(self, turn: Turn, *, published: int | None = None) -> None:
        """Ends a turn: its answer becomes part of the conversation.

        Args:
            published: answer tokens that reached the asker; None for all, fewer after an interruption. With 0 the
                question is taken back as well, and the next window or question continues in its place.

        Raises:
            StateError: it was committed before.
        """
        state = turn.state.to(TurnState.COMMITTED)
        conversation = turn.conversation
        conversation.require(ConversationState.ANSWERING, "commit a turn")
        turn.state = state
        if published == 0:
            conversation.retract(turn.question)
            return
        ids = turn.ids[:published]
        held = min(len(ids), turn.forwarded)
        self._decoder.fuse([conversation.end(turn.answer, ids[:held], ids[held:])])
        if turn.guidance.first is not None:
            conversation.store.note_importance(turn.guidance.first)

    # Parts.

    def _graphs(self) -> GraphPool | None:
        device, chosen = self.model.stack.device, self.options.graphs
        gpu = device.type == "cuda"
        return GraphPool(device, capture=gpu) if chosen == "on" or (chosen == "auto" and gpu) else None

    def _passes(self) -> FixedPasses | None:
        stack = self.model.stack
        if self._pool is None or (self.options.graphs == "auto" and not stack.dense):
            return None
        return FixedPasses(stack, self.facts.fusion_depth, self._pool)


def _distinct(conversations: Sequence[Conversation]) -> None:
    if len({id(conversation) for conversation in conversations}) < len(conversations):
        raise InputError("items", "name a conversation twice", "give one item of a conversation a call")
