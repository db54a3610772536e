"""Only the holder of a secret can sign a delivery, and only a fresh one of Buildkite's counts."""

from __future__ import annotations

import pytest

from commands.service.signatures import AGE_SECONDS_MAX, buildkite_is_genuine, github_is_genuine, sign

# The example of "Validating webhook deliveries" in GitHub's public documentation.
SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
NOW = 1_780_000_000


def test_the_example_of_githubs_documentation_is_genuine() -> None:
    assert github_is_genuine([SECRET], BODY, SIGNATURE)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (BODY + b"\n", SIGNATURE),
        (b"", SIGNATURE),
        (BODY, None),
        (BODY, ""),
        (BODY, "sha256="),
        (BODY, SIGNATURE[:-1]),
        (BODY, SIGNATURE + "0"),
        (BODY, SIGNATURE.removeprefix("sha256=")),
        (BODY, SIGNATURE.replace("sha256", "sha1")),
        (BODY, SIGNATURE.upper()),
        (BODY, "sha256=\u00e4"),
        (BODY, " " + SIGNATURE),
    ],
)
def test_a_changed_body_or_a_bent_header_is_not_genuine(body: bytes, header: str | None) -> None:
    assert not github_is_genuine([SECRET], body, header)


@pytest.mark.parametrize(
    ("secrets", "genuine"),
    [([], False), ([b"other"], False), ([b"other", SECRET], True), ([SECRET, b"other"], True), ([b""], False)],
)
def test_any_of_the_secrets_may_sign_and_without_one_nobody_can(secrets: list[bytes], genuine: bool) -> None:
    assert github_is_genuine(secrets, BODY, SIGNATURE) is genuine
    assert buildkite_is_genuine(secrets, BODY, header(NOW), now=NOW) is genuine


def header(stamp: int | str, *, secret: bytes = SECRET, body: bytes = BODY) -> str:
    """What Buildkite would send at that time."""
    return f"timestamp={stamp},signature={sign(secret, str(stamp).encode() + b'.' + body)}"


@pytest.mark.parametrize(
    ("age", "genuine"),
    [
        (0, True),
        (AGE_SECONDS_MAX, True),
        (AGE_SECONDS_MAX + 1, False),
        (-AGE_SECONDS_MAX, True),
        (-AGE_SECONDS_MAX - 1, False),
    ],
)
def test_a_delivery_counts_for_five_minutes_around_its_time(age: int, genuine: bool) -> None:
    assert buildkite_is_genuine([SECRET], BODY, header(NOW - age), now=NOW) is genuine


@pytest.mark.parametrize(
    "bent",
    [
        None,
        "",
        "signature=" + sign(SECRET, BODY),
        f"timestamp={NOW}",
        header(NOW).replace(str(NOW), str(NOW + 1)),
        header(NOW, body=b"other"),
        header(NOW, secret=b"other"),
        header("-1"),
        header("0" * 13),
        header("١٢٣"),
        header(f"{NOW}.0"),
        SIGNATURE,
    ],
)
def test_a_header_without_a_signed_time_of_now_is_not_genuine(bent: str | None) -> None:
    assert not buildkite_is_genuine([SECRET], BODY, bent, now=NOW)


def test_the_fields_of_the_header_may_stand_in_any_order_with_spaces() -> None:
    stamp, signature = header(NOW).split(",")
    assert buildkite_is_genuine([SECRET], BODY, f" {signature} , {stamp}", now=NOW)
