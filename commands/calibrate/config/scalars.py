"""The type of an unquoted word in a calibration file."""

from __future__ import annotations


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar, by the rules the existing files were written for.

    A number with a point is a float, one without an int; exponents without a point, dates, hashes
    and everything else stay text.
    """
    if text in ("null", "~", ""):
        return None
    if text in ("true", "false"):
        return text == "true"
    if "." in text:
        try:
            number = float(text)
        except ValueError:
            return text
        return number
    try:
        return int(text)
    except ValueError:
        return text
