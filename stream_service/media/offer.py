"""Reading a WHIP offer before aiortc does: what is wrong with it, in words, and what aiortc should not see of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.sdp import MediaDescription, SessionDescription

from stream_service.errors import InvalidSdp, TooLarge, UnsupportedMedia

Kind = Literal["video", "audio"]

SUPPORTED: dict[Kind, tuple[str, ...]] = {
    "video": ("video/vp8", "video/h264"),
    "audio": ("audio/opus", "audio/pcmu", "audio/pcma"),
}
"""MIME types that are taken, preferred ones first; of sound, only the first in common is answered."""
_NAMES: dict[Kind, str] = {
    "video": "VP8, or H.264 constrained baseline or baseline with packetization-mode=1",
    "audio": "Opus, PCMU or PCMA",
}
_REMEDY = "Send the SDP offer of a WebRTC peer that sends media (RFC 9725), unchanged."
_MAX_CANDIDATES = 32
_FINGERPRINTS = ("sha-256", "sha-384", "sha-512")


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer. ``sdp`` is what aiortc is to be given."""

    sdp: str
    codecs: dict[Kind, tuple[str, ...]]
    """The MIME types to answer with, for each kind in the order of the sections."""
    answer_passive: bool
    """Whether to take the DTLS server's part: the offer leaves it open (actpass)."""


def read_offer(text: str, max_bytes: int) -> Offer:
    """Check a WHIP offer.

    Raises :class:`TooLarge`; :class:`InvalidSdp` for what is not an offer that sends at most one video and one audio
    track over one transport with ICE and DTLS; :class:`UnsupportedMedia` where no codec is shared.
    """
    check_size(text, max_bytes)
    lines = list(_usable_lines(text))
    session = _parse("\r\n".join(lines) + "\r\n")
    media = session.media
    if not media:
        raise InvalidSdp("the offer has no media section", remedy=_REMEDY, field="sdp")
    codecs: dict[Kind, tuple[str, ...]] = {}
    for section in media:
        codecs[cast(Kind, section.kind)] = _common_codecs(section)
    if len(codecs) != len(media):
        raise InvalidSdp(
            "the offer has more than one track of a kind",
            remedy="Send at most one video and one audio track.",
            field="sdp",
        )
    mids = [section.rtp.muxId for section in media]
    bundles = [group.items for group in session.group if group.semantic == "BUNDLE"]
    if len(set(mids)) != len(mids) or len(bundles) > 1 or sorted(*bundles or [mids]) != sorted(mids):
        raise InvalidSdp("the offer's BUNDLE group and its a=mid lines disagree", remedy=_REMEDY, field="sdp")
    if len(media) > 1 and not bundles:
        raise InvalidSdp("the offer does not bundle its tracks", remedy="Use the max-bundle policy.", field="sdp")
    return Offer("\r\n".join(lines) + "\r\n", codecs, answer_passive=media[0].dtls.role == "auto")


def check_size(text: str, max_bytes: int) -> None:
    """Raise :class:`TooLarge` for a text of more than ``max_bytes``."""
    size = len(text.encode())
    if size > max_bytes:
        raise TooLarge(f"{size} bytes of SDP, at most {max_bytes} are taken", remedy=_REMEDY, field="sdp")


def usable_candidate(line: str) -> bool:
    """Whether an ``a=candidate:`` line is of use to the server: UDP, with an address and a port that exists.

    Browsers that hide their addresses send names of mDNS instead (``….local``); looking those up takes up to a second
    and mostly fails. They are not needed: the browser checks *our* addresses, and ICE learns its own from that.
    """
    fields = line.split()
    if len(fields) < 8 or fields[2].lower() != "udp" or fields[4].endswith(".local"):
        return False
    try:
        return 0 < int(fields[5]) <= 65_535
    except ValueError:
        return True  # the parser will say what is wrong with it


def _usable_lines(text: str) -> Iterator[str]:
    """The offer without candidates that are of no use, and without the end of candidates.

    aioice gives up as soon as the candidates that it was told of have failed; checks from an address that it was not
    told of may still come, and the time to connect is bounded by :attr:`MediaSettings.connect_s` anyway.
    """
    candidates = 0
    for line in (line.rstrip() for line in text.splitlines()):
        if line.startswith("a=candidate:"):
            candidates += 1
            if candidates > _MAX_CANDIDATES or not usable_candidate(line):
                continue
        if line and line != "a=end-of-candidates":
            yield line


def _parse(text: str) -> SessionDescription:
    if not text.startswith("v=0"):
        raise InvalidSdp("the body is not SDP: it does not begin with v=0", remedy=_REMEDY, field="sdp")
    try:
        return SessionDescription.parse(text)
    except (AssertionError, AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
        # aiortc's parser has no error of its own: this is all that it raises on malformed lines.
        reason = str(error)[:200] or type(error).__name__
        raise InvalidSdp(f"the offer is malformed: {reason}", remedy=_REMEDY, field="sdp") from error


def _common_codecs(media: MediaDescription) -> tuple[str, ...]:
    """The codecs to answer a section with; raises where aiortc cannot answer it or it sends what we cannot decode."""
    if media.kind not in SUPPORTED:
        raise UnsupportedMedia(
            f"the offer has a section of kind {media.kind[:40]!r}",
            remedy="Offer video and audio only, no data channel.",
        )
    kind = cast(Kind, media.kind)
    problem = _problem(media)
    if problem:
        raise InvalidSdp(f"the {kind} section {problem}", remedy=_REMEDY, field="sdp")
    try:
        common = {codec.mimeType.lower() for codec in find_common_codecs(CODECS[kind], media.rtp.codecs)}
    except TypeError as error:  # aiortc counts on H.264's packetization-mode to have a value where it is named
        raise InvalidSdp(f"the {kind} section has an a=fmtp without a value", remedy=_REMEDY, field="sdp") from error
    chosen = tuple(name for name in SUPPORTED[kind] if name in common)
    if not chosen:
        offered = ", ".join(sorted({codec.name for codec in media.rtp.codecs})) or "none"
        raise UnsupportedMedia(
            f"no {kind} codec in common (offered: {offered[:200]})", remedy=f"Offer {_NAMES[kind]}.", field=kind
        )
    return chosen if kind == "video" else chosen[:1]


def _problem(media: MediaDescription) -> str | None:
    """What keeps aiortc from answering a section, or None."""
    if media.direction not in ("sendonly", "sendrecv"):
        return "does not send (a=sendonly or a=sendrecv is missing)"
    if not media.rtp.muxId:
        return "has no a=mid"
    if not media.rtcp_mux:
        return "has no a=rtcp-mux"
    if not media.ice.usernameFragment or not media.ice.password:
        return "has no ICE credentials (a=ice-ufrag, a=ice-pwd)"
    if media.dtls is None or media.dtls.role not in ("auto", "client", "server"):
        return "has no DTLS role (a=setup)"
    if not any(f.algorithm.lower() in _FINGERPRINTS for f in media.dtls.fingerprints):
        return "has no DTLS certificate fingerprint (a=fingerprint with sha-256)"
    return None
