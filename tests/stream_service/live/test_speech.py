"""Speech as the question, over the whole service: a voice in, an answer out, the words when they are known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nano_omni import NanoFacts
from nano_omni.build import build
from stream_service.answers import events
from tests.stream_service.live.camera import Camera, Voice
from tests.stream_service.live.conftest import Server
from tests.stream_service.live.subscriber import subscribed
from tests.stream_service.speech.voices import frame_of, resampled, speak

pytestmark = [pytest.mark.default, pytest.mark.timeout(120)]


async def test_a_spoken_question_is_answered_without_waiting_for_its_words(tmp_path: Path) -> None:
    build(tmp_path, tiny=True, facts=NanoFacts(fusion_depth=2, spoken_questions=True))  # its answer means nothing
    question = resampled([frame_of(speak("flite:rms", "What colour is the circle?"), 16_000)], 48_000)
    with Server(str(tmp_path), speech__question="speech") as server:
        async with (
            Camera(server.url, sound=Voice(question, at=2.5)) as camera,
            subscribed(server.url, camera.session) as subscriber,
        ):
            accepted = await subscriber.until("question.accepted")
            while not {"answer.done", "question.transcribed"} <= {event.type for event in subscriber.seen}:
                await subscriber.next()
    assert isinstance(accepted, events.QuestionAccepted)
    assert (accepted.text, accepted.source, accepted.confidence) == ("", "speech", None)
    assert set(accepted.timings_ms) == {"hang_over"}
    (done,) = [event for event in subscriber.seen if isinstance(event, events.AnswerDone)]
    (words,) = [event for event in subscriber.seen if isinstance(event, events.QuestionTranscribed)]
    assert done.question == words.question == accepted.question
    assert words.text.replace("color", "colour").startswith("What colour")
    assert not [event for event in subscriber.seen if isinstance(event, events.Error)]


def test_the_built_in_model_is_not_started_to_be_spoken_to(model: str) -> None:
    environ = {
        "OMNIDROP_ENGINE__MODEL": model,
        "OMNIDROP_SPEECH__QUESTION": "speech",
        "OMNIDROP_SERVER__PORT": "0",
        "OMNIDROP_ANSWERS__LOG": "memory",
    }
    command = [sys.executable, "-m", "stream_service", "serve"]
    refused = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, timeout=110, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "never trained on spoken questions" in refused.stderr
    assert "Set speech.question to transcript" in refused.stderr
    assert "Traceback" not in refused.stderr
