"""A client for OmniDrop Live: publish a file or device by WHIP, ask, and follow the answers. See :mod:`.cli`.

    async with Api("http://127.0.0.1:8080") as api:
        playback = Playback(Programme(Source("clip.mp4")))
        async with Publisher(api, playback) as publisher:
            await api.ask(publisher.session, "What do you see?")
            async for event in Subscription(api, publisher.session):
                print(event)

It needs aiortc, av, httpx, websockets and numpy, and imports nothing else of this project.
"""

from clients.python.errors import ClientError, ConnectionLost, NoAnswer, ServerProblem, SourceError
from clients.python.http import Api
from clients.python.playback import Playback
from clients.python.programme import Programme
from clients.python.publisher import Publisher
from clients.python.soundtrack import Speech
from clients.python.source import Source, read_sound
from clients.python.subscription import Subscription

__all__ = [
    "Api",
    "ClientError",
    "ConnectionLost",
    "NoAnswer",
    "Playback",
    "Programme",
    "Publisher",
    "ServerProblem",
    "Source",
    "SourceError",
    "Speech",
    "Subscription",
    "read_sound",
]
