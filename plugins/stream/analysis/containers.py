"""Know a container by its first bytes, and where its header ends.

Nothing here calls a media library: what a sender says a file is never decides which demuxer reads it.
"""

from __future__ import annotations

from plugins.stream.analysis import isobmff, matroska

#: EBML's magic number (RFC 8794, section 11.2.1): WebM and Matroska.
_EBML = b"\x1a\x45\xdf\xa3"
#: Box types that may open a file of the ISO base media family (ISO/IEC 14496-12; QuickTime File Format).
_FIRST_BOXES = frozenset(
    (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"free", b"skip", b"wide", b"pnot")
)
#: Packet sizes of MPEG transport streams: plain (ISO/IEC 13818-1) and with a 4-byte time code (m2ts).
_TS_PACKETS = (188, 192)
_TS_SYNC = 0x47
#: Sync bytes that must stand at their places before bytes pass for a transport stream.
_TS_SYNCS = 5


def sniff(data: bytes) -> str | None:
    """Return the name of the demuxer for `data`: matroska, mov, avi or mpegts; None when none of them.

    The name is libavformat's. A transport stream may be cut at any byte.
    """
    if data[:4] == _EBML:
        return "matroska"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "avi"
    if data[4:8] in _FIRST_BOXES and int.from_bytes(data[:4]) not in range(2, 8):
        return "mov"
    if _is_transport_stream(data):
        return "mpegts"
    return None


def has_header(data: bytes) -> bool:
    """Tell whether `data` can be read without anything that was sent before it."""
    kind = sniff(data)
    if kind == "mov":
        return isobmff.has_movie(data)
    return kind is not None


def split_init(data: bytes) -> tuple[bytes, bytes]:
    """Split `data` into its initialisation segment and the media after it.

    For WebM and Matroska the first Cluster begins the media, for fragmented MP4 the first `moof` (W3C, Media
    Source Extensions byte stream formats). All other containers have no such header: it is empty.
    """
    kind = sniff(data)
    if kind == "matroska":
        end = matroska.header_end(data)
    elif kind == "mov":
        end = isobmff.header_end(data)
    else:
        end = None
    return (data[:end], data[end:]) if end is not None else (b"", data)


def _is_transport_stream(data: bytes) -> bool:
    for size in _TS_PACKETS:
        for start in range(size):
            places = data[start : start + size * _TS_SYNCS : size]
            if len(places) == _TS_SYNCS and places.count(_TS_SYNC) == _TS_SYNCS:
                return True
    return False
