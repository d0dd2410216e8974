"""Spoken questions through the real engine process, on a tiny model with random weights."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nano_omni import FACTS_FILE, NanoFacts
from nano_omni.build import build
from pruner import Ask, LiveModel, RawWindow, TurnOptions
from stream_service.engine.channel import Decoder, encode
from stream_service.engine.client import LocalEngine
from stream_service.engine.model import load
from stream_service.engine.settings import EngineSettings
from stream_service.types import AnswerCancelled, AnswerDone, EngineEvent, EngineFault, SessionSettings, Window
from tests.stream_service.engine.builders import question, spoken

SAMPLES = np.random.default_rng(1).uniform(-0.1, 0.1, 32_000).astype(np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes spoken questions, as far as its facts say."""
    directory = tmp_path_factory.mktemp("tiny-speech")
    build(directory, tiny=True, facts=NanoFacts(fusion_depth=2, spoken_questions=True))
    return directory


def settings(directory: Path) -> EngineSettings:
    return EngineSettings(model=str(directory), threads=1, budget=512, max_answer_tokens=8)


@pytest.mark.default
async def test_the_answer_is_the_models_own(tiny: Path) -> None:
    torch.set_num_threads(1)
    model = LiveModel.load(tiny)
    conversation = model.open(budget=512)
    model.fuse([(conversation, one) for one in model.encode([(conversation, RawWindow(0.0, None, SAMPLES))])])
    (turn,) = model.guide([Ask(conversation, options=TurnOptions(max_tokens=8), speech=spoken(seconds=1.3).speech)])
    while not model.step([turn])[0].done:
        pass
    engine = LocalEngine(settings(tiny))
    info = await engine.start()
    try:
        assert info.spoken_questions
        await engine.open("a", SessionSettings())
        engine.ask(spoken(seconds=1.3), [Window("a", 0, 0.0, 2.0, None, SAMPLES)])
        async with asyncio.timeout(60):
            (done,) = [event async for event in _until_over(engine.events())]
    finally:
        await engine.stop(drain_s=0)
    assert isinstance(done, AnswerDone)
    assert done.text == turn.text
    assert list(done.tokens_per_layer) == turn.report().tokens_per_layer


async def _until_over(events: AsyncIterator[EngineEvent]) -> AsyncIterator[EngineEvent]:
    """How the question ends."""
    async for event in events:
        if isinstance(event, AnswerDone | AnswerCancelled | EngineFault):
            yield event
            return


@pytest.mark.default
def test_a_model_that_was_never_trained_on_speech_refuses_the_question_not_the_session(
    tiny: Path, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf"
    shutil.copytree(tiny, deaf)
    facts = json.loads((deaf / FACTS_FILE).read_text(encoding="utf-8")) | {"spoken_questions": False}
    (deaf / FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")
    engine, info = load(settings(deaf), time.monotonic)
    assert not info.spoken_questions
    engine.open("a", SessionSettings())
    for asked in (spoken("aloud"), question("typed")):
        engine.ask(asked, [], asked=time.monotonic())
        while engine.run_once():
            pass
    over = [event for event in engine.take_events() if isinstance(event, AnswerDone | EngineFault)]
    fault, done = over
    assert isinstance(fault, EngineFault)
    assert (fault.code, fault.question) == ("invalid_input", "aloud")
    assert "never trained" in fault.message
    assert isinstance(done, AnswerDone)
    assert done.question == "typed"


def test_speech_travels_as_its_bytes_beside_the_message() -> None:
    longest = spoken(seconds=32.0)
    assert longest.speech is not None
    parts = encode(longest)
    assert max(map(len, parts)) == longest.speech.nbytes == 4 * 32 * 16_000
    assert sum(map(len, parts)) < longest.speech.nbytes + 1_000
    (arrived,) = Decoder().push(b"".join(parts))
    assert np.array_equal(arrived.speech, longest.speech)
    assert replace(arrived, speech=None) == replace(longest, speech=None)
