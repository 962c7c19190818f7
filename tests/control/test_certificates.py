"""Which names of a certificate count."""

from __future__ import annotations

from typing import Any

import pytest

from control.certificates import names_in

SUBJECT = ((("organizationName", "Club"),), (("commonName", "club"),))


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        (None, ()),
        ({}, ()),
        ({"subject": SUBJECT}, ("club",)),
        ({"subject": SUBJECT, "subjectAltName": (("IP Address", "192.0.2.1"),)}, ("club",)),
        (
            {"subject": SUBJECT, "subjectAltName": (("DNS", "a.test"), ("URI", "spiffe://x/b"))},
            ("a.test", "spiffe://x/b"),
        ),
        ({"subjectAltName": (("email", "club"),)}, ()),
    ],
)
def test_alternative_names_count_and_the_common_name_only_without_them(
    certificate: dict[str, Any] | None, names: tuple[str, ...]
) -> None:
    assert names_in(certificate) == names
