"""Plays one episode to the service and listens to what it says."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.live.plan import Episode
from benchmarks.live.skew import SkewMeter, watch
from benchmarks.live.story import Story, words
from benchmarks.live.voice import Utterance
from clients.python import Api, Playback, Programme, Publisher, Source, Speech, Subscription

_PATIENCE_S = 15.0
"""How long after the question an answer is awaited."""
_LOOK_S = 0.5
"""Between two looks at the session's view."""


@dataclass(frozen=True, slots=True)
class Played:
    """An episode and what came of it.

    Attributes:
        episode, story: see there.
        ttft_ms: from the moment at which the last voiced sample was due to be sent to the arrival of the first words,
            here at the client; None without an answer.
        skews_ms: of picture against sound, in the order of time.
        packets_lost: of the source, by the server's count.
    """

    episode: Episode
    story: Story
    ttft_ms: float | None
    skews_ms: list[float]
    packets_lost: int

    @property
    def heard(self) -> bool:
        """Whether the question was recognised word for word."""
        return self.story.text is not None and words(self.story.text) == words(self.episode.qa.text)

    @property
    def right(self) -> bool:
        """Whether the answer is the truth, to the letter."""
        return self.story.answer == self.episode.qa.answer


async def play(server: str, episode: Episode, clip: Path, spoken: Utterance) -> Played:
    """Stream a clip with its spoken question in real time and wait for the answer.

    Raises:
        ClientError: the clip cannot be played, or the server cannot be reached or refuses.
    """
    speech = Speech(episode.onset, spoken.samples)
    playback = Playback(Programme(Source(str(clip)), [speech]))
    story, meter = Story(episode.onset), SkewMeter()
    async with Api(server) as api, Publisher(api, playback) as publisher:
        listening = asyncio.create_task(_listen(Subscription(api, publisher.session), story))
        looking = asyncio.create_task(_look(api, publisher, meter))
        lost = asyncio.create_task(publisher.wait())
        late = asyncio.create_task(playback.due(speech.end + _PATIENCE_S))
        tasks = {listening, looking, lost, late}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        source = (await api.request("GET", f"/v1/sessions/{publisher.session}")).json()["source"]
        ttft = None if story.first_text is None else 1e3 * (story.first_text - playback.wall(speech.voiced_end))
    if story.ended is None:
        story.ended = "no answer came"
    skews = [1e3 * skew for skew in meter.skews_s()]
    return Played(episode, story, ttft, skews, int(source.get("packets_lost", 0)))


async def _listen(events: Subscription, story: Story) -> None:
    """Until the question is answered or lost."""
    async for event in events:
        story.push(event, time.time())
        if story.ended is not None:
            return


async def _look(api: Api, publisher: Publisher, meter: SkewMeter) -> None:
    """Look at the session's view again and again."""
    while True:
        for sender in publisher.senders:
            for track in publisher.playback.tracks:
                if sender.track is track:
                    watch(sender, track, meter)
        with suppress(asyncio.TimeoutError):
            meter.seen((await api.request("GET", f"/v1/sessions/{publisher.session}")).json()["source"])
        await asyncio.sleep(_LOOK_S)
