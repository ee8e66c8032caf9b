"""T-08: the target is one setting, and what is wrong with it is said."""

from __future__ import annotations

import pytest

from sillok.agent.settings import target_from_url
from sillok.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    [None, "", "  ", "monitoring:3100", "ftp://monitoring/x", "http://", "http://${HOST}:3100/loki/api/v1/push",
     "http://monitoring:31000000/loki/api/v1/push", '"http://monitoring:3100"', "http://a b/", "http://h/push?x=1"],
)  # fmt: skip
def test_a_missing_or_malformed_target_is_an_error_that_names_the_variable(text: str | None) -> None:
    with pytest.raises(ConfigError, match=r"LOKI_URL.*for example LOKI_URL=http://monitoring:3100/loki/api/v1/push"):
        target_from_url(text)


def test_credentials_are_taken_out_of_the_url_and_shown_nowhere() -> None:
    target = target_from_url("https://me%40x:s%2Fecret@logs.example.org/loki/api/v1/push")
    assert (target.user, target.password) == ("me@x", "s/ecret")
    assert target.url == "https://logs.example.org/loki/api/v1/push"
    assert "s/ecret" not in repr(target)
    with pytest.raises(ConfigError) as caught:
        target_from_url("ftp://me:secret@host/x")
    assert "secret" not in str(caught.value)


def test_the_path_of_a_bare_address_is_lokis() -> None:
    assert target_from_url("http://monitoring:3100").url == "http://monitoring:3100/loki/api/v1/push"
    assert target_from_url("http://[::1]:3100/").url == "http://[::1]:3100/loki/api/v1/push"
