"""Ingest: WHIP over aiortc, from an SDP offer to frames and samples on one clock."""

from stream_service.media.fragment import CONTENT_TYPE as FRAGMENT_TYPE
from stream_service.media.peers import Peers
from stream_service.media.settings import IceServer, MediaSettings
from stream_service.types import Published, Trickled

__all__ = ["FRAGMENT_TYPE", "IceServer", "MediaSettings", "Peers", "Published", "Trickled"]
