"""What is taken from a stranger at most, each limit with its reason: in one place, and listed in docs/sync.md.

A remote is written by others. Each limit is far above what a writer of ours makes, and far below what hurts.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """The limits of a remote. Tests give a remote small ones; commands use `LIMITS`."""

    # an append takes at most 64 MiB of payload, and zstd makes it smaller; a pack is made from a tail of 8 MiB
    file_bytes: int = 64 * MIB
    # logs, telemetry, backups: a large piece of evidence
    large_file_bytes: int = 1024 * MIB
    # what is downloaded at once is held in memory, beside one file that is larger
    in_flight_bytes: int = 16 * MIB
    # a thousand files a page, in some 300 bytes each: 200 requests list as much
    listed_files: int = 200_000
    listing_pages: int = 1_000
    answer_bytes: int = 16 * MIB
    # a stalled sender is left to the silence limit; one that sends a byte now and then is not silent
    slow_after_s: float = 30.0
    least_bytes_per_s: float = 1_024.0
    download_s: float = 3_600.0


@dataclass(frozen=True)
class ParquetBounds:
    """What a segment or a pack may take to be read."""

    # an append has at most 100,000 events, behind what the journal held
    rows: int = 200_000
    # 64 MiB of payload and as much of envelopes; a row group of 10,240 is held at once
    decoded_bytes: int = 160 * MIB
    group_bytes: int = 96 * MIB
    # what values in dictionaries come to when each row has its own
    text_bytes: int = 64 * MIB
    # 17 columns of 20 groups take 60 KiB, more when values are long texts
    footer_bytes: int = 4 * MIB
    groups: int = 64
    columns: int = 24
    # our writer ends a dictionary at 1 MiB, behind the value that passes it
    dictionary_bytes: int = 3 * MIB


LIMITS = Limits()
PARQUET = ParquetBounds()
