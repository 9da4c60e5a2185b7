"""What must never stand in a record, a plan or a log."""

import pytest

from quintain.records.scrub import scrub, secrets


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


def test_the_shells_folders_are_no_passwords():
    """Else a frozen cell that names a folder below them cannot be run from its file."""
    assert secrets({"PWD": "/nowhere/somebody", "OLDPWD": "/nowhere/else"}) == []
