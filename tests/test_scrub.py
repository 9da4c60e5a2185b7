"""What must never stand in a record, a plan or a log."""

import pytest
from records_factory import cost, data, make

from quintain.records.scrub import scrub, scrub_record, secrets


@pytest.mark.parametrize(
    "name", ["DB_PASSWD", "AWS_CREDENTIALS", "AUTHORIZATION", "PGPASS", "MY_DSN"]
)
def test_names_that_speak_of_secrets(name):
    assert secrets({name: "hunter2hunter2", "HOME": "/nowhere/somebody"}) == ["hunter2hunter2"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://ghp_abc@host/x", "https://[redacted]@host/x"),
        ("http://u:p/x@host", "http://[redacted]@host"),
        ("https://host/a?token=abc&y=1", "https://host/a?token=[redacted]&y=1"),
        ("https://host/a?step=3", "https://host/a?step=3"),
    ],
)
def test_addresses_lose_their_secrets(text, clean):
    assert scrub(text, []) == clean


def test_no_text_of_a_record_keeps_a_secret(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    secret = "hunter2hunter2 https://bob:pass@host"
    found = data() | {"notes": [secret], "reading": secret}
    spent = cost() | {"absent": {"energy_kwh": secret}}
    trust = {"deterministic": {"ok": None, "note": secret}}
    record = make(data=found, cost=spent, trust=trust, versions={"quintain": secret},
                  cell={"model": {"note": secret}}, machine={"host": secret})  # fmt: skip
    text = scrub_record(record).to_json()
    assert "hunter2" not in text and "bob" not in text and text.count("[redacted] https://") == 7


def test_the_shells_folders_are_no_passwords():
    """Else a frozen cell that names a folder below them cannot be run from its file."""
    assert secrets({"PWD": "/nowhere/somebody", "OLDPWD": "/nowhere/else"}) == []
