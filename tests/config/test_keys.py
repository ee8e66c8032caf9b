"""The declared keys cover what they fill."""

from __future__ import annotations

import dataclasses

from sillok.config.limits import LIMITS
from sillok.config.sillok import KEYS, SECTIONS, Settings
from sillok.model.limits import Limits


def test_every_limit_of_a_tenant_has_a_key() -> None:
    assert {limit.attribute for limit in LIMITS} == {item.name for item in dataclasses.fields(Limits)}


def test_every_key_says_what_it_means_and_shows_its_default() -> None:
    for key in KEYS.values():
        assert key.doc.endswith("."), key.path
        assert key.kind.show(key.default), key.path


def test_every_section_says_what_it_is_about() -> None:
    assert all(section.doc.endswith(".") for section in SECTIONS.values())


def test_defaults_by_key_are_the_defaults_of_the_settings() -> None:
    from sillok.config.keys import value_of

    for key in KEYS.values():
        assert value_of(Settings(), key) == key.default, key.path
