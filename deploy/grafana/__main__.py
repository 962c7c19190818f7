"""`python -m deploy.grafana` writes rostrum.json anew from `panels`."""

from __future__ import annotations

from deploy.grafana.dashboard import FILE, write
from deploy.grafana.panels import ROWS

FILE.write_text(write(ROWS))
