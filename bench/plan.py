"""All tables of RESULTS.md, in their order.

`tables.py` measures and renders. The loads are sized for one core of a small virtual machine on
each side.
"""

from __future__ import annotations

from bench.plan_adapting import ADAPTING
from bench.plan_forwarding import FORWARDING

TABLES = (*FORWARDING, *ADAPTING)
