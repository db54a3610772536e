"""A credential is told to nobody and kept nowhere: not in a message, an event, or a file of the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.baselines import BaselineUnpinned
from ledger.ledger import Ledger
from ledger.outside.redaction import clean_urls, without_credentials

TOKEN = "S3cr3tS3cr3tS3cr3t"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"https://user:{TOKEN}@host/x", "https://***@host/x"),
        (f"https://{TOKEN}@host", "https://***@host"),
        (f"postgresql+psycopg://u:{TOKEN}@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        (f"https://u:p@{TOKEN}@host/", "https://***@host/"),
        (f"GET https://h/x?a=1&token={TOKEN}&b=2", "GET https://h/x?a=1&token=***&b=2"),
        (f"https://h/x?X-Amz-Signature={TOKEN}", "https://h/x?X-Amz-Signature=***"),
        (f"https://h/?sig={TOKEN}#part", "https://h/?sig=***#part"),
        (f"s3://KEY:{TOKEN}@bucket/p", "s3://***@bucket/p"),
        (f'{{"u":"https://a:{TOKEN}@h","v":"x@y"}}', '{"u":"https://***@h","v":"x@y"}'),
    ],
)
def test_a_url_loses_its_credentials_and_nothing_else(text: str, left: str) -> None:
    assert without_credentials(text) == left
    assert clean_urls(text.encode()) == left.encode()


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/org/repo?page=2&per_page=100",
        "hf://datasets/org/perf@main",
        "file:///tmp/a@b",
        "ssh://git@github.com/org/repo",
        "model@gpu, see https://host/a@b",
        "",
    ],
)
def test_a_text_without_credentials_stays_as_it_is(text: str) -> None:
    assert without_credentials(text) == text


def test_an_error_tells_no_credential_in_any_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", TOKEN)
    url = f"https://u:hunter22@host/?token={TOKEN}"
    error = BadInput(f"no {url} {TOKEN}", code="x", hint=f"try {url}", urls=[url], by={"url": url}, n=1)
    told = json.dumps([str(error), error.message, error.hint, error.details])
    assert TOKEN not in told and "hunter22" not in told and told.count("***") >= 5
    assert error.details["n"] == 1


def test_an_event_keeps_no_credential_of_a_url(ledger: Ledger) -> None:
    payload = BaselineUnpinned(target="m@g", name="n", reason=f'see "https://u:{TOKEN}@host/x"\n and 1')
    ledger.append([NewEvent(stream="baseline/m@g", payload=payload)])
    ledger.seal()
    (event,) = ledger.read(types=["BaselineUnpinned"])
    assert event.body()["reason"] == 'see "https://***@host/x"\n and 1'
    kept = [path for path in ledger.path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []


URLS = [
    f"https://u:{TOKEN}@127.0.0.1:9/x",
    f"hf://datasets/u:{TOKEN}@org/perf",
    f"hf://datasets/org/perf/ledger?token={TOKEN}",
    f"s3://KEY:{TOKEN}@bucket/p",
    f"s3://bucket/p?token={TOKEN}",
    f"file://u:{TOKEN}@host/p",
]


@pytest.mark.parametrize("url", URLS)
def test_no_command_tells_or_keeps_a_token_of_a_remotes_address(url: str, cli: Any, tmp_path: Path) -> None:
    cli("init", code=0)
    variables = {"PERFLEDGER_REMOTE_WAIT": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "PERFLEDGER_REMOTE": url}
    for args in (["sync", "push"], ["sync", "pull", "--json"], ["sync", "status"], ["doctor", "--fast", "--json"]):
        done = cli(*args, env=variables)
        assert TOKEN not in done.out + done.err, args
        assert done.code != 70, done.err
    kept = [
        path for path in (tmp_path / ".perfledger").rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert kept == []
