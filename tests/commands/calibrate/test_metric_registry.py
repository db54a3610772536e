"""The metrics and the constant names that bound them (specification, section 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands.calibrate.config.metrics import default_registry, extend_registry
from ledger.errors import BadInput

REGISTRY = default_registry()
PATH = Path("models/x/config.yaml")

# 3.1: key, group, bound, label, scale, digits
JUNE = """
accuracy                accuracy     min  Acc (%)                 100 2
corpus_wer              wer          max  Corpus WER (%)          100 2
per_sample_wer_max      wer          max  Max per-sample WER (%)  100 2
wer_below_50_corpus     wer          max  Corpus WER ≤50% (%)     100 2
n_above_50              wer          max  Samples >50% WER        1   0
throughput_qps          speed        min  Throughput (req/s)      1   3
output_tok_per_req_s    speed        min  Output tok/req-s        1   1
latency_mean_s          speed        max  Latency mean (s)        1   3
latency_p95_s           speed        max  Latency p95 (s)         1   3
rtf_mean                speed        max  RTF mean                1   4
rtf_p95                 speed        max  RTF p95                 1   4
failed_requests         reliability  max  Failed requests         1   0
similarity_mean         similarity   min  Speaker sim mean        1   4
utmos_mean              utmos        min  UTMOS mean              1   4
"""


@pytest.mark.parametrize("row", JUNE.strip().splitlines())
def test_every_metric_has_its_group_bound_and_display(row: str) -> None:
    key, group, worst, *label, scale, digits = row.split()
    spec = REGISTRY.metrics[key]
    assert (spec.group, spec.worst) == (group, worst)
    assert spec.display.label == " ".join(label)
    assert (spec.display.scale, spec.display.digits) == (int(scale), int(digits))


# 3.2, in the order of its rules, then the additions of section 15
NAMES = [
    ("SEEDTTS_EN_FULLSET_SAMPLES", None),
    ("TTS_SIMILARITY_MAX_SAMPLES", None),
    ("STREAMING_BENCHMARK_MAX_SAMPLES", None),
    ("MMMU_ACC_MIN", "accuracy"),
    ("MMMU_ACCURACY_MIN", "accuracy"),
    ("MMMU_MIN_ACCURACY", "accuracy"),
    ("MIN_ACCURACY", None),
    ("MIN_ACCURACY_X", None),
    ("MMSU_AUDIO_WER_BELOW_50_CORPUS_MAX", "wer_below_50_corpus"),
    ("VC_N_ABOVE_50_MAX", "n_above_50"),
    ("TTS_MAX_FAILED_REQUESTS", "failed_requests"),
    ("VC_SIMILARITY_MEAN_MIN", "similarity_mean"),
    ("VC_SIMILARITY_MEAN_MIN_X", None),
    ("VC_UTMOS_MEAN_REFERENCE", "utmos_mean"),
    ("VC_UTMOS_MEAN_MIN", None),
    ("HIGGS_VC_WER_MAX_CORPUS", "corpus_wer"),
    ("VC_WER_MAX_PER_SAMPLE", "per_sample_wer_max"),
    ("SEEDTTS_ASR_CORPUS_WER_MAX", "corpus_wer"),
    ("SEEDTTS_ASR_SAMPLE_WER_MAX", "per_sample_wer_max"),
    ("QWEN3_ASR_THROUGHPUT_MIN", "throughput_qps"),
    ("QWEN3_ASR_LATENCY_MEAN_MAX_S", "latency_mean_s"),
    ("QWEN3_ASR_LATENCY_P95_MAX_S", "latency_p95_s"),
    ("QWEN3_OMNI_SEEDTTS_RTF_MEAN_MAX", "rtf_mean"),
    ("QWEN3_ASR_RTF_P95_MAX", "rtf_p95"),
    ("MOSS_TD_CER_PERCENT_REF", "cer_percent"),
    ("MOSS_TD_CER_NO_SPK_PERCENT_REF", "cer_no_spk_percent"),
    ("MOSS_TD_CP_CER_PERCENT_REF", "cp_cer_percent"),
    ("MOSS_TD_CER_NO_SPK_CP_VALID_PERCENT_REF", "cer_no_spk_cp_valid_percent"),
    ("MOSS_TD_DELTA_CER_PERCENT_REF", "delta_cer_percent"),
    ("GOOGLETIME_CER_NO_SPK_BELOW_50_PERCENT_REF", "cer_no_spk_below_50_corpus"),
    ("MOSS_TD_N_ABOVE_50_CER_MAX", "n_above_50_pct_cer"),
    ("AISHELL4_LONG_SPEAKER_TIMESTAMP_DER_PERCENT_REF", "speaker_timestamp_der_percent"),
    ("MOSS_TD_CER_VALID_SAMPLES_MIN", "cer_valid_samples"),
    ("MOSS_TD_CP_CER_VALID_SAMPLES_MIN", "cp_cer_valid_samples"),
    ("SERVING_LONG_COMPLETION_TOKENS_MIN_REF", "completion_tokens_min"),
    ("SERVING_LONG_AUDIO_DURATION_MIN_S_REF", "audio_duration_min_s"),
    ("SERVING_LONG_PROMPT_TOKENS_MIN_REF", "prompt_tokens_min"),
    ("SERVING_LONG_BASELINE_LATENCY_MAX_S_REF", "latency_max_s"),
    ("SERVING_WS_STREAM_TTFA_P95_S_REF", "ttfa_p95_s"),
    ("MOSS_TD_STREAM_TEXT_TTFT_P95_S_REF", "text_ttft_p95_s"),
    ("SERVING_WS_STREAM_INTER_CHUNK_P95_S_REF", "inter_chunk_p95_s"),
    ("MOSS_TD_THROUGHPUT_QPS_REF", "throughput_qps"),
    ("MOSS_TD_LATENCY_MEAN_S_REF", "latency_mean_s"),
    ("MOSS_TD_RTF_P95_REF", "rtf_p95"),
    ("SERVING_LONG_OUTPUT_TOK_PER_REQ_S_REF", "output_tok_per_req_s"),
    ("THRESHOLD_SLACK_LOWER", None),
    ("VC_LATENCY_MEAN_MAX_THRESHOLD", None),
    ("CONCURRENCY", None),
]


@pytest.mark.parametrize(("name", "metric"), NAMES)
def test_a_constant_name_says_which_metric_it_bounds(name: str, metric: str | None) -> None:
    spec = REGISTRY.metric_of(name)
    assert (spec.key if spec else None) == metric


def test_a_nested_key_alone_decides_and_only_speed_keys_do() -> None:
    nested = {"throughput_qps", "output_tok_per_req_s", "latency_mean_s", "latency_p95_s", "rtf_mean", "rtf_p95"}
    assert nested < set(REGISTRY.metrics)
    for key in REGISTRY.metrics:
        spec = REGISTRY.metric_of("ANY_ACC_MIN", key)
        assert (spec.key if spec else None) == (key if key in nested else None)


def test_a_configuration_adds_metrics_patterns_groups_and_pinned_symbols() -> None:
    document = {
        "metrics": {"ttft_ms": {"group": "first_token", "worst": "max", "label": "TTFT (ms)", "digits": 1}},
        "metric_patterns": [{"match": ".*_TTFT_MS_MAX", "metric": "ttft_ms"}, {"match": "OLD_.*", "metric": None}],
        "groups": {"first_token": {"write": "ceil", "smart": "always"}},
        "fixed_symbols": ["HAND_TTFT_MS_MAX"],
    }
    registry = extend_registry(REGISTRY, document, PATH)
    spec = registry.metric_of("CHAT_TTFT_MS_MAX")
    assert spec is not None and (spec.group, spec.display.label) == ("first_token", "TTFT (ms)")
    assert registry.metric_of("OLD_ACC_MIN") is None, "a configured pattern is tried first"
    assert registry.metric_of("NEW_ACC_MIN") is not None
    assert registry.group("first_token").write == "ceil"
    assert registry.is_fixed("HAND_TTFT_MS_MAX") and registry.is_fixed("MOSS_TD_STREAM_N_ABOVE_50_CER_MAX")
    assert REGISTRY.metric_of("CHAT_TTFT_MS_MAX") is None, "the defaults stay as they are"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"metrics": {"m": {"group": "g", "worst": "best"}}}, "metrics.m.worst must be `min` or `max`"),
        ({"metrics": {"m": {"worst": "min"}}}, "metrics.m.group must be the name of a group"),
        ({"metrics": {"m": {"group": "g", "worst": "min", "scale": 0}}}, "scale must be a number above 0"),
        ({"metrics": {"m": 3}}, "metrics.m must be a mapping"),
        ({"metric_patterns": [{"match": "(", "metric": "accuracy"}]}, r"metric_patterns\[1\].match must be a regular"),
        ({"metric_patterns": [{"match": "X", "metric": "nope"}]}, "must be a declared metric, not 'nope'"),
        ({"groups": {"g": {"write": "up"}}}, "groups.g.write must be"),
        ({"fixed_symbols": {"a": 1}}, "fixed_symbols must be a list"),
    ],
)
def test_a_malformed_declaration_names_file_and_field(document: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as refusal:
        extend_registry(REGISTRY, document, PATH)
    assert str(PATH) in refusal.value.message
