"""From settings to a loaded model, every way it can fail said before serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch

import nano_omni
from pruner import (
    Ask,
    DeviceMemoryError,
    LiveModel,
    LiveOptions,
    PrunerError,
    RawWindow,
    TurnOptions,
    UnsupportedModelError,
    WeightsError,
)
from pruner.compress import GROUP, audio_count, video_count
from pruner.families.facts import ModelFacts
from pruner.families.memory import available_bytes
from stream_service.engine.loop import EngineLoop
from stream_service.engine.runner import refusal, sentence
from stream_service.engine.settings import EngineSettings
from stream_service.errors import InvalidConfig, OmniDropError, StartupError
from stream_service.types import SAMPLE_RATE, EngineInfo


def load(settings: EngineSettings, clock: Callable[[], float]) -> tuple[EngineLoop, EngineInfo]:
    """Loads the model and checks that it can work as configured.

    Raises:
        StartupError: no such weights, model family or device, or no room for the weights; names the remedy.
        InvalidConfig: a share, budget or depth that this model cannot reach; states the reachable range.
    """
    torch.set_num_threads(settings.cpu_threads())
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        raise StartupError(
            f"engine.device is {settings.device}, but no GPU is usable", remedy="Set engine.device to cpu."
        )
    path = nano_omni.weights_dir() if settings.model == "nano" else settings.model
    options = TurnOptions(
        deep_share=settings.deep_share,
        schedule=settings.schedule,
        score=settings.score,
        diversity_weight=settings.diversity_weight,
        max_tokens=settings.max_answer_tokens,
    )
    live = LiveOptions(
        fusion_depth=settings.fusion_depth,
        frame_size=settings.frame_size and settings.frame_size[::-1],
        frame_tokens=settings.frame_tokens,
        turn=options,
        graphs=settings.graphs,
        still_change=settings.still_change,
    )
    try:
        model = LiveModel.load(
            path,
            revision=settings.revision,
            device=settings.device,
            dtype=getattr(torch, settings.dtype),
            options=live,
        )
        session_bytes = model.session_bytes(settings.budget)
        check_room(settings, session_bytes, model.shared_bytes(settings.budget))
        warm_up(model, settings.budget)
        if model.records:
            rehearse(model, settings.budget)
    except PrunerError as error:
        raise _explained(error) from error
    facts, tokenizer = model.facts, Path(model.model.prompt.path, "tokenizer.json")
    info = EngineInfo(
        model=Path(settings.model).name,
        device=settings.device,
        layers=facts.layers,
        fusion_depth=facts.fusion_depth,
        frame_size=(facts.width, facts.height),
        budget=settings.budget,
        deep_share=settings.deep_share,
        session_bytes=session_bytes,
        max_sessions=settings.max_sessions,
        window_tokens=window_tokens(facts),
        question_tokens=live.max_question_tokens,
        spoken_questions=facts.spoken_questions,
        tokenizer=str(tokenizer) if tokenizer.is_file() else None,
    )
    free = partial(available_bytes, torch.device(settings.device))
    return EngineLoop(model, settings, options, clock, free), info


def window_tokens(facts: ModelFacts) -> float:
    """Mean number of tokens that a whole window with picture and sound leaves in a memory."""
    patches = facts.window_seconds  # one a second
    video = video_count(GROUP, facts.rows * facts.columns) * patches / GROUP
    return video + audio_count(facts.audio_rate * facts.window_seconds)


def check_room(settings: EngineSettings, session_bytes: int, shared_bytes: int) -> None:
    """Checks that every session that may be opened fits into the device's memory, beside what they share.

    Raises:
        InvalidConfig: it does not; says what is needed and what there is.
    """
    needed = session_bytes * settings.max_sessions + shared_bytes
    free = available_bytes(torch.device(settings.device))
    if needed > free:
        message = f"{settings.max_sessions} sessions need {_size(needed)} of memory, {_size(free)} are free"
        raise InvalidConfig(message, remedy="Lower engine.max_sessions or engine.budget.", field="engine.max_sessions")


def warm_up(model: LiveModel, budget: int) -> None:
    """Sees and answers once, so that what is set up on first use is not on the first session's time.

    Raises:
        BudgetError: a session does not fit into ``budget``.
    """
    facts = model.facts
    conversation = model.open(budget=budget)
    blank = _blank(facts, facts.window_seconds)
    (window,) = model.encode([(conversation, blank)])
    model.fuse([(conversation, window)])
    asks = [Ask(conversation, "What is this?")]
    if facts.spoken_questions:
        asks.append(Ask(conversation, speech=blank.samples))
    for ask in asks:
        (turn,) = model.guide([ask])
        model.step([turn])
        model.commit(turn)
    conversation.close()


def rehearse(model: LiveModel, budget: int) -> None:
    """Fills memories and answers at every size on the way, so that graphs are recorded before anybody waits for them.

    A pass runs as it is the first time, and is recorded the second time.
    """
    seconds = model.facts.window_seconds
    for _ in range(2):
        conversation = model.open(budget=budget)
        for number, length in enumerate((1, seconds) * 3):
            (window,) = model.encode([(conversation, _blank(model.facts, length, number))])
        for number in count():
            (report,) = model.fuse([(conversation, replace(window, start=float(seconds * number)))])
            if report.evicted or number % 3 == 0:
                (turn,) = model.guide([Ask(conversation, "What is this?")])
                for _ in range(3):
                    if model.step([turn])[0].done:
                        break
                model.commit(turn, published=0)
            if report.evicted:
                break
        conversation.close()


def _blank(facts: ModelFacts, seconds: int, number: int = 0) -> RawWindow:
    """A window in which nothing is seen or heard; of other brightness every second, and from number to number, so that
    none of it stands in for the next."""
    frames = np.zeros((2 * seconds, facts.height, facts.width, 3), np.uint8)
    frames += (40 * (2 * number + np.arange(2 * seconds) // 2) % 256).astype(np.uint8)[:, None, None, None]
    return RawWindow(0.0, frames, np.zeros(seconds * SAMPLE_RATE, np.float32))


def _explained(error: PrunerError) -> OmniDropError:
    match error:
        case WeightsError():
            return StartupError(
                f"the model cannot be used: {error.path} {error.problem}",
                remedy=sentence(error.remedy),
                field="engine.model",
            )
        case DeviceMemoryError():
            sizes = f"{_size(error.needed)} of memory, {_size(max(error.available, 0))} are free"
            remedy = "Set engine.dtype to a smaller format, or engine.model or engine.device to another."
            return StartupError(f"{error.what} need {sizes} on {error.device}", remedy=remedy, field="engine.model")
        case UnsupportedModelError():
            remedy = f"Use a model that is one of these: {', '.join(error.known)}."
            return StartupError(str(error), remedy=remedy, field="engine.model")
    refused = refusal(error)
    remedy = refused.remedy.replace("Ask for", "Configure")
    return InvalidConfig(refused.message, remedy=remedy, field=f"engine.{refused.field}" if refused.field else "engine")


def _size(count: float) -> str:
    """Bytes as people say them."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
