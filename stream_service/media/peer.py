"""One WHIP resource: an aiortc connection that only receives, and the tasks that drain it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial

from aioice import Connection
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from stream_service.errors import Conflict, InvalidSdp
from stream_service.media import consent, network, recovery, tap, turn
from stream_service.media.clock import StreamClock, Track
from stream_service.media.fragment import Fragment, write_fragment
from stream_service.media.intake import VIDEO_RATE, Intake
from stream_service.media.jitter import Jitter
from stream_service.media.offer import Offer
from stream_service.media.restart import Restart, make_restartable
from stream_service.media.settings import MediaSettings

_log = logging.getLogger(__name__)

_CHECK_S = 0.25


class Peer:
    """Answers one offer, then drains its tracks into an :class:`Intake` until :meth:`close`.

    Tracks are read whether or not anyone wants them (aiortc queues unread frames without bound).
    """

    def __init__(
        self,
        session: str,
        settings: MediaSettings,
        offer: Offer,
        clock: StreamClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._session = session
        self._settings = settings
        self._offer = offer
        self._clock = clock
        self._monotonic = monotonic
        self._connection = RTCPeerConnection(_configuration(settings))
        self._receivers: dict[Track, RTCRtpReceiver] = {}
        self._heard = monotonic()
        self._jitters: dict[Track, Jitter] = {}
        self._decoders: dict[Track, recovery.DecoderQueue] = {}
        self._runner: asyncio.Task[None] | None = None
        self._restart: Restart | None = None
        self._restarting: asyncio.Task[bool] | None = None
        self.etag = _new_etag()
        """Names the ICE session (RFC 9725 §4.3.1), quoted as in the header."""

    @property
    def tracks(self) -> frozenset[Track]:
        """What the source sends."""
        return frozenset(Track(kind) for kind in self._offer.codecs)

    async def answer(self) -> str:
        """The SDP answer, with all candidates in it.

        Raises :class:`InvalidSdp` for what only the negotiation can find.
        """
        connection = self._connection
        for kind, names in self._offer.codecs.items():
            transceiver = connection.addTransceiver(kind, direction="recvonly")
            known = RTCRtpReceiver.getCapabilities(kind).codecs
            transceiver.setCodecPreferences([c for c in known if c.mimeType.lower() in (*names, "video/rtx")])
            self._receivers[Track(kind)] = transceiver.receiver
            rate = VIDEO_RATE if kind == "video" else 48_000 if "audio/opus" in names else 8_000
            self._listen(Track(kind), transceiver.receiver, rate)
        transport = self._transport()
        self._outfit(transport.transport._connection)
        make_restartable(transport.transport)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(self._offer.sdp, "offer"))
        except ValueError as error:
            raise InvalidSdp(
                f"the offer cannot be answered: {error}", remedy="Send the offer unchanged.", field="sdp"
            ) from error
        if self._offer.answer_passive:
            transport._set_role("server")
        await connection.setLocalDescription(await connection.createAnswer())
        return network.announce(connection.localDescription.sdp, self._settings)

    def start(self, intake: Intake) -> None:
        """Begin to drain into ``intake``."""
        self._runner = asyncio.create_task(self._run(intake), name="whip-peer")

    async def trickle(self, fragment: Fragment) -> None:
        """Add the sender's candidates to its latest ICE session."""
        if self._restart is not None:
            await self._restart.trickle(fragment.candidates)
            return
        for candidate in fragment.candidates:
            await self._transport().transport.addRemoteCandidate(candidate)

    async def restart(self, fragment: Fragment) -> str:
        """Restart ICE with the sender's new credentials; returns our fragment, and changes :attr:`etag`.

        Media go on by the old addresses until the new ones are connected, and go on so if that never happens. Raises
        :class:`InvalidSdp` without credentials, :class:`Conflict` when the connection is over.
        """
        if not fragment.ufrag or not fragment.password:
            raise InvalidSdp(
                "the fragment has no ICE credentials", remedy="Send a=ice-ufrag and a=ice-pwd.", field="body"
            )
        if self._connection.connectionState in ("failed", "closed"):
            raise Conflict("the connection is over", remedy="POST a new offer; the session continues.")
        restart = Restart(self._transport().transport, _ice_servers(self._settings), self._outfit)
        ufrag, password, candidates = await restart.prepare()
        await restart.trickle(fragment.candidates)
        if self._restarting is not None:
            self._restarting.cancel()
        self._restart = restart
        self._restarting = asyncio.create_task(restart.run(fragment, self._settings.connect_s), name="ice-restart")
        self.etag = _new_etag()
        mid = self._connection.getTransceivers()[0].mid
        return network.announce(write_fragment(ufrag, password, candidates, mid), self._settings)

    def reception(self) -> dict[Track, tap.Reception]:
        """What the receivers have counted."""
        return {track: tap.reception(receiver) for track, receiver in self._receivers.items()}

    def jitter(self) -> dict[Track, float]:
        """Interarrival jitter of each track, in seconds."""
        return {track: jitter.seconds for track, jitter in self._jitters.items()}

    def undecoded(self) -> int:
        """Encoded frames that were dropped: the decoder was behind, or what they refer to was lost."""
        return sum(decoder.dropped for decoder in self._decoders.values())

    async def close(self) -> None:
        """Stop; the source is told by DTLS. Nothing reaches the intake from here on."""
        self._connection.remove_all_listeners()
        tasks = [task for task in (self._restarting, self._runner) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()

    def _outfit(self, connection: Connection) -> None:
        network.bind(connection, self._settings)
        consent.keep(connection, lambda: self._heard, self._monotonic)

    def _transport(self) -> RTCDtlsTransport:
        return next(iter(self._receivers.values())).transport

    def _listen(self, track: Track, receiver: RTCRtpReceiver, rate: int) -> None:
        clock, monotonic = self._clock, self._monotonic
        jitter = self._jitters[track] = Jitter(rate)

        def on_packet(timestamp: int) -> None:
            clock.heard(track, timestamp, rate)
            self._heard = monotonic()
            jitter.add(timestamp, self._heard)

        self._decoders[track] = recovery.guard(receiver, track, monotonic, self._settings.max_pixels)
        tap.listen(receiver, on_packet, partial(clock.report, track))

    async def _run(self, intake: Intake) -> None:
        def on_state() -> None:
            state = self._connection.connectionState
            if state in ("failed", "closed"):
                intake.lose(f"the connection {'is closed' if state == 'closed' else 'failed'}")

        handlers: dict[Track, Callable[..., None]] = {Track.VIDEO: intake.video, Track.AUDIO: intake.audio}
        self._connection.on("connectionstatechange", on_state)
        reason = "the source ended its tracks"
        try:
            async with asyncio.TaskGroup() as group:
                drains = [group.create_task(_drain(r.track, handlers[t])) for t, r in self._receivers.items()]
                while not all(task.done() for task in drains):
                    await asyncio.sleep(_CHECK_S)
                    intake.check()
        except* Exception:  # a fault of ours must not stay silent, and unread tracks would queue without bound
            _log.exception("a source's media could not be taken in", extra={"session": self._session})
            reason = "its media could not be taken in"
            await self._connection.close()
        intake.lose(reason)


async def _drain(track: MediaStreamTrack, handle: Callable[..., None]) -> None:
    """Read a track to its end."""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if isinstance(frame, VideoFrame | AudioFrame):
            handle(frame)


def _new_etag() -> str:
    return f'"{secrets.token_hex(8)}"'


def _configuration(settings: MediaSettings) -> RTCConfiguration:
    policy = RTCIceTransportPolicy.RELAY if settings.relay_only else RTCIceTransportPolicy.ALL
    return RTCConfiguration(
        iceServers=_ice_servers(settings), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE, iceTransportPolicy=policy
    )


def _ice_servers(settings: MediaSettings) -> list[RTCIceServer]:
    return [
        RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
        for server in turn.for_gateway(settings, time.time())
    ]
