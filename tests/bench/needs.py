"""What some tests of the load tester need of the machine."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

from bench.targets import TargetError
from bench.targets.janus_config import find_janus


def _has_janus() -> bool:
    try:
        find_janus()
    except TargetError:
        return False
    return True


_CAN_HAVE_NAMESPACES = os.geteuid() == 0 and shutil.which("ip") is not None

namespaces = pytest.mark.skipif(
    not _CAN_HAVE_NAMESPACES, reason="network namespaces need root and iproute2"
)
janus = pytest.mark.skipif(
    not (_CAN_HAVE_NAMESPACES and _has_janus()), reason="needs janus, root and iproute2"
)
flite = pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite")
pesq = pytest.mark.skipif(importlib.util.find_spec("pesq") is None, reason="needs pesq")
