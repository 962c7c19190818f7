"""`python -m control.sfuctl`."""

from __future__ import annotations

import sys

from control.sfuctl.program import main

if __name__ == "__main__":
    sys.exit(main())
