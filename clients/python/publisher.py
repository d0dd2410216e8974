"""A WHIP client (RFC 9725): publishes a playback to a server and keeps the resource until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from httpx import Response

from clients.python.errors import ConnectionLost, ServerProblem
from clients.python.http import Api
from clients.python.playback import Playback

_CODECS = {"video": "video/VP8", "audio": "audio/opus"}
_CONNECT_S = 15.0
_SDP = "application/sdp"


class Publisher:
    """Use it as an async context manager: inside, the media flows; leaving it ends the session, unless the media path
    broke: then the server waits for its grace time, and publishing under the same name goes on with that session.

    Args:
        api: the server.
        playback: what to publish; its first media second is sent once the connection stands.
        name: a stable name for the session; the server's own id when None.
        options: query parameters of the server's ``POST /whip``, such as ``{"talk": "off"}``.
        keep: leave the session alive at the end, so that another source can take its place.

    Entering raises :class:`ServerProblem` or :class:`ConnectionLost`.
    """

    def __init__(
        self,
        api: Api,
        playback: Playback,
        *,
        name: str | None = None,
        options: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> None:
        self.playback = playback
        self.session = ""
        """The session's id, once published."""
        self._api, self._name, self._options, self._keep = api, name, dict(options or {}), keep
        self._peer: RTCPeerConnection | None = None
        self._connected, self._lost = asyncio.Event(), asyncio.Event()

    @property
    def senders(self) -> list[RTCRtpSender]:
        """What sends the playback's tracks, for measuring; none before it is published."""
        return [] if self._peer is None else list(self._peer.getSenders())

    async def __aenter__(self) -> Self:
        self.playback.prepare()
        try:
            await self._publish()
            await self._until_connected()
            await self.playback.start()
        except BaseException:  # cancelled as well: nothing half open may stay behind
            await self._leave(keep=self._keep)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._leave(keep=self._keep or self._lost.is_set())

    async def wait(self) -> None:
        """Until the playback is over. Raises SourceError when it broke, ConnectionLost when the media path did."""
        over, lost = asyncio.ensure_future(self.playback.over()), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({over, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            lost.cancel()
        if self._lost.is_set():
            raise ConnectionLost("The media path to the server broke.", remedy="Check the network and publish again.")
        if self.playback.error is not None:
            raise self.playback.error

    async def _publish(self) -> None:
        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=await self._ice_servers()))
        peer.on("connectionstatechange", self._on_state)
        for track in self.playback.tracks:
            transceiver = peer.addTransceiver(track, direction="sendonly")
            able = RTCRtpSender.getCapabilities(track.kind).codecs
            transceiver.setCodecPreferences([c for c in able if c.mimeType.lower() == _CODECS[track.kind].lower()])
        await peer.setLocalDescription(await peer.createOffer())
        path = "/whip" if self._name is None else f"/whip/{self._name}"
        response = await self._api.request(
            "POST",
            path,
            params=self._options,
            content=peer.localDescription.sdp,
            headers={"Content-Type": _SDP},
        )
        self.session = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if response.status_code != 201 or not self.session:
            raise ServerProblem(
                "The server did not answer as WHIP asks (201 and a Location).",
                remedy="Check that the address is an OmniDrop server's.",
                status=response.status_code,
                code="not_whip",
            )
        await peer.setRemoteDescription(RTCSessionDescription(sdp=response.text, type="answer"))

    async def _ice_servers(self) -> list[RTCIceServer]:
        """The servers that the endpoint advertises (RFC 9725 §4.6); none when it does not answer that."""
        try:
            return advertised(await self._api.request("OPTIONS", "/whip"))
        except ServerProblem:
            return []

    async def _until_connected(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connected.wait()
        except TimeoutError:
            self._lost.set()
        if self._lost.is_set():
            raise ConnectionLost(
                "The server was reached, but no media path to it was found.",
                remedy="UDP must pass between the two; behind NAT, the server needs a TURN server.",
            )

    async def _on_state(self) -> None:
        state = self._peer.connectionState if self._peer is not None else "closed"
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._lost.set()
            self._connected.set()

    async def _leave(self, *, keep: bool) -> None:
        if self.session and not keep:
            with suppress(ServerProblem, ConnectionLost):  # it is gone already, which is what was wanted
                await self._api.request("DELETE", f"/whip/{self.session}")
        await self.playback.stop()
        if self._peer is not None:
            self._peer.remove_all_listeners()
            await self._peer.close()


def advertised(response: Response) -> list[RTCIceServer]:
    """The ICE servers in a response's Link headers (RFC 9725 §4.6, RFC 8288)."""
    servers = []
    for value in response.headers.get_list("link"):
        for link in value.split(", <"):
            url, _, rest = link.lstrip("<").partition(">")
            found = dict(part.strip().partition("=")[::2] for part in rest.split(";") if "=" in part)
            given = {key: text.strip('"') for key, text in found.items()}
            if given.get("rel") == "ice-server":
                servers.append(RTCIceServer(url, given.get("username"), given.get("credential")))
    return servers
