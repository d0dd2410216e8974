"""A camera that can vanish and come back, over a network that can be bad."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.asking import PATIENCE_S
from benchmarks.faults.relay import PERFECT, Conditions, Relay, gateway_of, led_through, without_candidates
from clients.python import Api, Playback, Programme, Publisher, ServerProblem, Source
from nano_omni.world.clip import write_clip

FPS, SECONDS = 10, 8
_TRIES = 20


def film(path: Path) -> None:
    """Write the clip that all cameras play: a texture that drifts, and a tone."""
    texture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8) // 4
    bars: NDArray[np.uint8] = (np.arange(320) // 40 % 2 * 150).astype(np.uint8)[None, :, None]
    pictures = (np.roll(texture + bars, 4 * n, axis=1) for n in range(FPS * SECONDS))
    t = np.arange(16_000 * SECONDS, dtype=np.float32) / 16_000
    write_clip(path, pictures, (0.1 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), FPS)


class _RelayedApi(Api):
    """The server's HTTP side; what is published through it goes through a relay of its own."""

    def __init__(self, server: str, conditions: Conditions, dice: random.Random) -> None:
        super().__init__(server, timeout_s=PATIENCE_S)
        self._conditions, self._dice = conditions, dice
        self.relay: Relay | None = None

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if method != "POST" or not path.startswith("/whip"):
            return await super().request(method, path, **options)
        options["content"] = without_candidates(options["content"])
        response = await super().request(method, path, **options)
        self.relay = await Relay(self._conditions, self._dice).open(gateway_of(response.text))
        headers = {name: response.headers[name] for name in ("location", "etag", "content-type")}
        return httpx.Response(
            response.status_code, headers=headers, text=led_through(response.text, self.relay.address)
        )


class Camera:
    """Plays ``clip`` in a loop into the session ``name``; use it as an async context manager.

    It leaves without a word: the session is closed by whoever wants it closed.
    """

    def __init__(self, server: str, clip: Path, name: str, conditions: Conditions = PERFECT, seed: int = 0) -> None:
        self._server, self._clip, self._name = server, clip, name
        self._conditions, self._dice = conditions, random.Random(seed)
        self._api: _RelayedApi | None = None
        self._publisher: Publisher | None = None
        self.session = ""

    @property
    def relay(self) -> Relay:
        """The network that it is on. Raises RuntimeError while it is away."""
        if self._api is None or self._api.relay is None:
            raise RuntimeError("the camera is away")
        return self._api.relay

    async def __aenter__(self) -> Self:
        await self.come()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.vanish()

    async def come(self) -> None:
        """Publish, to the session of the name if it lives; again while the server asks for patience.

        Raises:
            ClientError: it is refused for another reason, or for too long.
        """
        for _ in range(_TRIES):
            try:
                await self._come()
            except ServerProblem as refusal:  # the engine starts, or the machine is too busy for one more
                if refusal.retry_after is None:
                    raise
                last = refusal
                await asyncio.sleep(refusal.retry_after)
            else:
                return
        raise last

    async def _come(self) -> None:
        self._api = await _RelayedApi(self._server, self._conditions, self._dice).__aenter__()
        playback = Playback(Programme(Source(str(self._clip)), loop=True))
        self._publisher = Publisher(self._api, playback, name=self._name, options={"talk": "off"}, keep=True)
        try:
            await self._publisher.__aenter__()
        except BaseException:  # cancelled or refused: either way nothing of it may go on
            self._publisher = None
            await self.vanish()
            raise
        self.session = self._publisher.session

    async def vanish(self) -> None:
        """Be gone from one moment to the next: not even DTLS says goodbye."""
        api, self._api = self._api, None
        publisher, self._publisher = self._publisher, None
        if api is not None and api.relay is not None:
            api.relay.is_cut = True
        if publisher is not None:
            await publisher.__aexit__(None, None, None)
        if api is not None:
            if api.relay is not None:
                api.relay.close()
            await api.__aexit__(None, None, None)
