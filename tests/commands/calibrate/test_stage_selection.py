"""Which stages a `--stages` argument means (specification, section 5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.calibrate.config.selection import list_stages, select_stages
from commands.calibrate.config.stages import Stage, read_stages
from ledger.errors import BadInput

STAGES = read_stages(Path(__file__).parent / "data/tts_stages.yaml")


def keys(wanted: str) -> list[str]:
    return [stage.key for stage in select_stages(STAGES, wanted).stages]


def test_all_alone_is_every_stage_in_file_order() -> None:
    assert keys("ALL") == list(STAGES.stages)
    assert select_stages(STAGES, "ALL").note is None


def test_a_token_is_a_key_then_a_group_then_a_base() -> None:
    assert keys("tts_moss_nonstream_speed") == ["tts_moss_nonstream_speed"]
    assert keys("@similarity") == ["tts_higgs_nonstream_similarity", "tts_moss_nonstream_similarity"]
    assert keys("tts_moss_stream") == ["tts_moss_stream_wer", "tts_moss_stream_speed"]
    assert len(keys("tts_moss")) == 6
    assert len(keys("tts")) == 12


def test_a_stage_answers_to_its_variant_without_the_preset_too() -> None:
    """The shortcut the contract promises and the existing tool does not know (its defect 16)."""
    assert len(keys("tts_nonstream")) == 8
    assert keys("tts_stream") == [key for key in STAGES.stages if "_stream_" in key]


def test_the_order_is_that_of_the_tokens_then_of_the_file_each_once() -> None:
    assert keys(" @utmos , qwen3_asr ,,tts_moss_nonstream_utmos") == [
        "tts_higgs_nonstream_utmos",
        "tts_moss_nonstream_utmos",
        "qwen3_asr_wer",
        "qwen3_asr_speed",
    ]


def test_an_expansion_is_said_and_plain_keys_are_not() -> None:
    assert select_stages(STAGES, "qwen3_asr").note == (
        "expanded --stages 'qwen3_asr' → 2 stage(s): qwen3_asr_wer, qwen3_asr_speed"
    )
    assert select_stages(STAGES, "qwen3_asr_speed,qwen3_asr_wer").note is None


def test_unknown_tokens_are_refused_with_everything_that_is_known() -> None:
    with pytest.raises(BadInput) as refusal:
        select_stages(STAGES, "qwen3_asr,ALL,@nope,typo")
    lines = refusal.value.message.splitlines()
    assert lines[0] == "unknown stage token(s): ['ALL', '@nope', 'typo']"
    assert lines[1].startswith("  stage keys: ['qwen3_asr_speed', 'qwen3_asr_wer', 'tts_higgs_")
    assert lines[2].startswith("  test-file bases: ['qwen3_asr', 'tts', 'tts_higgs', ")
    assert lines[3] == "  groups: ['@similarity', '@speed', '@utmos', '@wer']"
    assert refusal.value.exit_code == 2


def test_an_empty_selection_is_accepted() -> None:
    assert keys(" , ") == []


def test_a_base_that_does_not_end_in_preset_and_variant_has_no_odd_alias() -> None:
    stage = Stage(key="asr_wer", test="t", title="t", group="wer", variant="stream", calibration_preset="moss")
    assert stage.aliases() == ["asr"]


def test_the_listing_shows_bases_with_their_stages_then_groups() -> None:
    lines = list_stages(STAGES).splitlines()
    assert lines[0] == "bases:"
    assert lines[1] == "  qwen3_asr  (tests/test_model/test_qwen3_asr_ci.py)"
    assert lines[2] == "    qwen3_asr_wer  [wer]"
    assert "    tts_moss_stream_speed  [speed, preset=moss, gpus=2]" in lines
    assert lines[-5] == "groups:"
    assert lines[-4] == "  @similarity (2): tts_higgs_nonstream_similarity, tts_moss_nonstream_similarity"
