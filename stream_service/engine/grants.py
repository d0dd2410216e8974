"""What a session gets of the model: its memory and how it is answered, within what the deployment allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pruner import Conversation, LiveModel, PrunerError, TurnOptions
from pruner.eviction import EvictionReport
from stream_service.engine.runner import refusal
from stream_service.engine.scheduler import FULL_RETRY_S
from stream_service.engine.settings import EngineSettings
from stream_service.errors import InvalidInput, ServerFull
from stream_service.types import SessionSettings


class Grants:
    """Of one model.

    Args:
        model: the loaded model.
        settings: of the deployment, which made sure that ``max_sessions`` memories of ``budget`` tokens have room.
        options: how turns are guided unless a session says otherwise.
        free: bytes that the device still has.
    """

    def __init__(
        self, model: LiveModel, settings: EngineSettings, options: TurnOptions, free: Callable[[], int]
    ) -> None:
        self._model = model
        self._settings = settings
        self._options = options
        self._free = free

    def check(self, budget: int) -> None:
        """Raises InvalidInput for more tokens than one session may hold."""
        most = self._settings.budget
        if budget > most:
            message = f"a budget of {budget} tokens is more than one session may hold"
            raise InvalidInput(message, remedy=f"Ask for at most {most} tokens.", field="budget")

    def open(self, wished: SessionSettings) -> tuple[Conversation, TurnOptions, int]:
        """A conversation as wished, how it is answered, and the bytes that it takes at most.

        Raises:
            InvalidInput: a budget or share that the model cannot work with; names the field and what is possible.
        """
        budget = self._settings.budget if wished.budget is None else wished.budget
        self.check(budget)
        try:
            options = self._wished(wished)
            self._model.check(options)
            return self._model.open(budget=budget), options, self._model.session_bytes(budget)
        except PrunerError as error:
            raise refusal(error) from error

    def resize(self, conversation: Conversation, budget: int) -> tuple[EvictionReport, int]:
        """Changes the budget of a conversation that is not answering.

        Returns:
            what left, and the bytes that it takes at most from now on.

        Raises:
            InvalidInput: fewer tokens than one window has, or more than one session may hold.
            ServerFull: the device has no room for the new memory beside the old one, which is copied into it.
        """
        self.check(budget)
        needed, free = self._model.session_bytes(budget), self._free()
        if needed > free:
            sizes = f"{needed / 2**20:.0f} MiB of memory for {budget} tokens, {max(free, 0) / 2**20:.0f} are free"
            remedy = "Ask for fewer tokens, or try again when other sessions have ended."
            raise ServerFull(f"it takes {sizes}", remedy=remedy, retry_after=FULL_RETRY_S)
        try:
            return conversation.set_budget(budget), needed
        except PrunerError as error:
            raise refusal(error) from error

    def _wished(self, wished: SessionSettings) -> TurnOptions:
        """The deployment's options with a session's wishes; an answer never gets longer than the deployment allows."""
        bound = self._settings.max_answer_tokens
        return replace(
            self._options,
            deep_share=self._options.deep_share if wished.deep_share is None else wished.deep_share,
            retention=wished.retention,
            max_tokens=bound if wished.max_answer_tokens is None else min(wished.max_answer_tokens, bound),
        )
