"""One question about a file, with a fake engine."""

from collections.abc import Iterator

import pytest

from stream_service.ask import ask
from stream_service.errors import EngineUnavailable, InvalidInput
from stream_service.types import AudioChunk, CancelReason, EngineFault, SessionSettings
from tests.stream_service.fakes import FakeEngine, FakeWindower, sound

SETTINGS = SessionSettings(retention=0.3)


async def test_all_media_is_fused_before_the_question() -> None:
    engine = FakeEngine(prompt=True)
    media = [sound(at) for at in range(5)]
    asked = await ask(media, "What?", engine=engine, windower=FakeWindower("clip"), settings=SETTINGS)
    assert engine.opened == {"clip": SETTINGS}
    assert [window.index for window in engine.fed] == [0, 1, 2]
    assert (asked.seconds, asked.windows, asked.answer.text) == (5.0, 3, "a red circle.")


async def test_the_engine_is_never_given_more_than_it_can_follow() -> None:
    engine = FakeEngine(prompt=True)
    most = 0

    def media() -> Iterator[AudioChunk]:
        nonlocal most
        for at in range(40):
            yield sound(at)
            most = max(most, len(engine.pending_windows()))

    await ask(media(), "What?", engine=engine, windower=FakeWindower("clip"), settings=SETTINGS)
    assert len(engine.fed) == 20
    assert most <= 2


async def test_media_without_a_window_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        await ask([], "What?", engine=FakeEngine(), windower=FakeWindower("clip"), settings=SETTINGS)
    assert refused.value.field == "clip"


async def test_what_the_engine_refuses_is_bad_input() -> None:
    engine = FakeEngine()
    engine.emit(EngineFault("clip", "invalid_input", "0.9 cannot be reached.", "Ask for 0.26 to 0.52.", "question"))
    with pytest.raises(InvalidInput, match="cannot be reached") as refused:
        await ask([sound(0.0)], "What?", engine=engine, windower=FakeWindower("clip"), settings=SETTINGS)
    assert "0.52" in refused.value.remedy


@pytest.mark.parametrize("how", ["cancelled", "stopped"])
async def test_an_engine_that_gives_up_is_unavailable(how: str) -> None:
    engine = FakeEngine()
    if how == "cancelled":
        engine.cancel("clip", "question", CancelReason.TIMEOUT)
    else:
        await engine.stop(drain_s=0.0)
    with pytest.raises(EngineUnavailable):
        await ask([sound(0.0)], "What?", engine=engine, windower=FakeWindower("clip"), settings=SETTINGS)
