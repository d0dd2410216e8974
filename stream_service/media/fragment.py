"""The body of a WHIP ``PATCH``: an SDP fragment (RFC 8840) with candidates or an ICE restart's credentials."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from stream_service.errors import InvalidSdp
from stream_service.media.offer import check_size, usable_candidate

CONTENT_TYPE = "application/trickle-ice-sdpfrag"
_REMEDY = "Send an SDP fragment with a=ice-ufrag, a=ice-pwd and a=candidate lines (RFC 8840, RFC 9725 §4.3)."
_MAX_CANDIDATES = 32


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment tells of the sender's ICE session; all its sections share one transport."""

    ufrag: str | None
    password: str | None
    candidates: tuple[RTCIceCandidate, ...]


def read_fragment(text: str, max_bytes: int) -> Fragment:
    """Read a fragment; candidates of no use are left out (see :func:`usable_candidate`).

    Raises :class:`TooLarge`, and :class:`InvalidSdp` for what is not a fragment.
    """
    check_size(text, max_bytes)
    values: dict[str, str] = {}
    candidates: list[RTCIceCandidate] = []
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name in ("a=ice-ufrag", "a=ice-pwd"):
            values[name] = value
        elif name == "a=candidate" and usable_candidate(line.strip()) and len(candidates) < _MAX_CANDIDATES:
            candidates.append(_candidate(value))
        elif name and name[1:2] != "=":
            raise InvalidSdp("the body is not an SDP fragment", remedy=_REMEDY, field="body")
    if not values and not candidates and "a=" not in text:
        raise InvalidSdp("the fragment says nothing of ICE", remedy=_REMEDY, field="body")
    return Fragment(values.get("a=ice-ufrag"), values.get("a=ice-pwd"), tuple(candidates))


def _candidate(value: str) -> RTCIceCandidate:
    try:
        return candidate_from_sdp(value)
    except ValueError as error:
        raise InvalidSdp(f"a candidate is malformed: {error}", remedy=_REMEDY, field="body") from error


def write_fragment(ufrag: str, password: str, candidates: list[str], mid: str) -> str:
    """The answer to an ICE restart: our new credentials and candidates (``a=candidate`` values)."""
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", "m=video 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    lines += [f"a=candidate:{candidate}" for candidate in candidates]
    return "\r\n".join([*lines, "a=end-of-candidates"]) + "\r\n"
