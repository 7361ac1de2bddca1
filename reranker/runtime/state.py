"""Where the server is in its life."""

from __future__ import annotations

from enum import StrEnum


class ServerState(StrEnum):
    """STARTING → WARMING → SERVING → DRAINING; only SERVING takes requests from newcomers."""

    STARTING = "STARTING"
    WARMING = "WARMING"
    SERVING = "SERVING"
    DRAINING = "DRAINING"
