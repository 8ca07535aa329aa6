"""What is struck out of what commands say, and what is left."""

import io
import logging
import sys

import pytest

from pipeline.secrets import guard_output, redact

TOKEN, PASSWORD = "a-token-of-no-known-kind", "Passw0rd"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", f"https://user:{PASSWORD}@hub.example/x")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("GET https://someone:else@hub.example/api?x=1 failed", "GET https://***@hub.example/api?*** failed"),
        ("at 'https://cdn/x?Signature=abc&Key=d', again", "at 'https://cdn/x?***', again"),
        ("https://a@b:c@hub/x", "https://***@hub/x"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': '***'}"),
        ("authorization: Basic dXNlcg==", "authorization: ***"),
        ("sent Bearer abc.k=", "sent Bearer ***"),
        (f"no, {TOKEN}!", "no, ***!"),
        (f"auth=('user', '{PASSWORD}')", "auth=('user', '***')"),
        ("hf_abcdefghijklmnopqrstuvwxyz", "***"),
    ],
)
def test_secrets_are_struck_out(said, left):
    assert redact(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "hf://datasets/someone/x@0123456789abcdef/a.png and hf_hub_download",
        "https://huggingface.co/someone/flux/commits/main; write to me@example.com. Why? Because",
        "a basic detector; the bearer of it",
        "error: data/features/x@2.parquet is damaged",
    ],
)
def test_all_else_is_left(said):
    assert redact(said) == said


@pytest.mark.parametrize("endpoint", ["", "https://[", "https://u:x@hub"])
def test_odd_addresses_and_short_passwords_strike_out_no_words(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_TOKEN", " ")
    assert redact("an extra  box") == "an extra  box"


def test_every_handler_and_the_last_traceback_hold_no_secret(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    factory, logger, text = logging.getLogRecordFactory(), logging.getLogger("somebody"), io.StringIO()
    handler = logging.StreamHandler(text)  # a library's own
    logger.addHandler(handler)
    try:
        guard_output()
        try:
            raise RuntimeError(f"quoting {TOKEN}")
        except RuntimeError as error:
            logger.warning("asked %s", f"https://user:{PASSWORD}@hub.example", exc_info=True)
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logging.setLogRecordFactory(factory)
        logger.removeHandler(handler)
    for said in (text.getvalue(), capsys.readouterr().err):
        assert "RuntimeError: quoting ***" in said and TOKEN not in said and PASSWORD not in said
    assert "asked https://***@hub.example" in text.getvalue()
