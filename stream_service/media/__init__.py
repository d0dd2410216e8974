"""Ingest: WHIP over aiortc, from an SDP offer to frames and samples on one clock."""

from stream_service.media.fragment import CONTENT_TYPE as FRAGMENT_TYPE
from stream_service.media.peers import Peers, Published, Trickled
from stream_service.media.settings import IceServer, MediaSettings

__all__ = ["FRAGMENT_TYPE", "IceServer", "MediaSettings", "Peers", "Published", "Trickled"]
