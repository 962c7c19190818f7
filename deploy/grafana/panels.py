"""What the dashboard shows, from the top."""

from __future__ import annotations

from deploy.grafana.people import CONNECTIONS, OVERVIEW, PEOPLE
from deploy.grafana.server import CONTROL, PROCESS
from deploy.grafana.sound import MIXING, SOUND

ROWS = {
    "Is all well?": OVERVIEW,
    "Who is here": PEOPLE,
    "Sound": SOUND,
    "Coming and going": CONNECTIONS,
    "Mixing": MIXING,
    "Backends": CONTROL,
    "The process": PROCESS,
}
