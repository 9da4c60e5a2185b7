"""Secrets are removed from records, plans and logs."""

import pytest
from helpers.record_factory import cost_values, data_values, make_record

from quintain.records.redact import find_secrets, redact, redact_record


@pytest.mark.parametrize(
    "name", ["DB_PASSWD", "AWS_CREDENTIALS", "AUTHORIZATION", "PGPASS", "MY_DSN"]
)
def test_values_of_variables_with_secret_names_are_secrets(name):
    assert find_secrets({name: "hunter2hunter2", "HOME": "/nowhere/somebody"}) == ["hunter2hunter2"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://ghp_abc@host/x", "https://[redacted]@host/x"),
        ("http://u:p/x@host", "http://[redacted]@host"),
        ("https://host/a?token=abc&y=1", "https://host/a?token=[redacted]&y=1"),
        ("https://host/a?step=3", "https://host/a?step=3"),
    ],
)
def test_users_and_tokens_in_urls_are_redacted(text, clean):
    assert redact(text, []) == clean


def test_every_text_field_of_a_record_is_redacted(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    secret = "hunter2hunter2 https://bob:pass@host"
    data = data_values() | {"notes": [secret], "reading": secret}
    cost = cost_values() | {"absent": {"energy_kwh": secret}}
    trust = {"deterministic": {"ok": None, "note": secret}}
    record = make_record(data=data, cost=cost, trust=trust, versions={"quintain": secret},
                  cell={"model": {"note": secret}}, machine={"host": secret})  # fmt: skip
    text = redact_record(record).to_json()
    assert "hunter2" not in text and "bob" not in text and text.count("[redacted] https://") == 7


def test_working_folders_of_the_shell_are_not_secrets():
    """So a cell file with a path in such a folder can still be run."""
    assert find_secrets({"PWD": "/nowhere/somebody", "OLDPWD": "/nowhere/else"}) == []
