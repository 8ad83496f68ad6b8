"""Whether a JPEG holds its whole picture. Decoders fill up what is missing with grey, and say nothing.

Layout: ITU-T T.81, B.1 and B.2; restart intervals E.1.4; progressive scans G.1.1.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

MAGIC = b"\xff\xd8"
_END = b"\xff\xd9"
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_START_OF_SCAN, _END_OF_IMAGE, _RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# Meaningless bytes without 0xFF, so that none is a marker. Decoders make noise of them.
_FILLER = np.random.default_rng(0).integers(0, 255, 8192, np.uint8).tobytes()
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class _Frame(NamedTuple):
    progressive: bool
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]  # component to horizontal and vertical factor


class _Scan(NamedTuple):
    components: tuple[int, ...]
    first: int  # coefficient
    last: int
    low_bit: int  # 0: down to the last bit


def with_filler(encoded: bytes) -> bytes:
    """The file with meaningless bytes behind its last scan.

    If the scan holds the whole picture, decoders skip them; otherwise they take them for the missing part. So the
    picture of this file differs from that of the original if, and only if, the scan ends too early.

    Args:
      encoded: a JPEG. A file without an end marker is returned as it is; decoders refuse it.
    """
    segments = _segments(encoded, len(MAGIC))
    end = encoded.find(_END, segments[-1][1]) if segments else -1
    return encoded if end < 0 else encoded[:end] + _FILLER + encoded[end:]


def is_complete(encoded: bytes) -> bool:
    """Whether the scans together hold each component to the last bit, and no restart interval is missing.

    A progressive file that ends early lacks whole scans: its picture is blurred, or has lost its colours. True if the
    file has no header that says what it holds; decoders refuse it.
    """
    frame, interval, scans, end = None, 0, [], len(MAGIC)
    while segments := _segments(encoded, end):
        for marker, at in segments:
            body = encoded[at + 4 : at + 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")]
            if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES and frame is None:
                frame = _read_frame(marker, body)
            elif marker == _RESTART_INTERVAL and len(body) == 2:
                interval = int.from_bytes(body, "big")
        marker, at = segments[-1]
        if marker != _START_OF_SCAN or frame is None or (scan := _read_scan(body)) is None:
            break
        scans.append(scan)
        if not frame.progressive and set(scan.components) >= set(frame.sampling):
            return not interval or _has_all_intervals(encoded, at, frame, interval)
        following = _MARKER.search(encoded, at + 4 + len(body))
        if following is None:
            break
        end = following.start()
    return frame is None or all(_has_component(frame, scans, component) for component in frame.sampling)


def _has_component(frame: _Frame, scans: list[_Scan], component: int) -> bool:
    own = [scan for scan in scans if component in scan.components]
    if not frame.progressive:
        return bool(own)
    complete = (range(scan.first, scan.last + 1) for scan in own if scan.low_bit == 0)
    return set(range(64)) <= {coefficient for coefficients in complete for coefficient in coefficients}


def _has_all_intervals(encoded: bytes, scan: int, frame: _Frame, interval: int) -> bool:
    across, down = (max(factors) for factors in zip(*frame.sampling.values(), strict=True))
    if len(frame.sampling) == 1:  # the blocks of a single component are not gathered
        across = down = 1
    units = math.ceil(frame.width / (8 * across)) * math.ceil(frame.height / (8 * down))
    markers = len(_RESTART.findall(encoded, scan, max(scan, encoded.find(_END, scan))))
    return markers >= math.ceil(units / interval) - 1


def _segments(encoded: bytes, at: int) -> list[tuple[int, int]]:
    """Marker and place of each segment up to the next scan, which is the last one."""
    found = []
    while at + 4 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        found.append((marker, at))
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return found


def _read_frame(marker: int, body: bytes) -> _Frame | None:
    if len(body) < 6 or len(body) < 6 + 3 * body[5] or not body[5]:
        return None
    parts = (body[6 + 3 * n : 8 + 3 * n] for n in range(body[5]))
    sampling = {component: (max(1, factors >> 4), max(1, factors & 15)) for component, factors in parts}
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return _Frame(marker in _PROGRESSIVE, width, height, sampling)


def _read_scan(body: bytes) -> _Scan | None:
    if not body or len(body) < 4 + 2 * body[0]:
        return None
    tail = body[1 + 2 * body[0] :]
    return _Scan(tuple(body[1 : 1 + 2 * body[0] : 2]), tail[0], tail[1], tail[2] & 15)
