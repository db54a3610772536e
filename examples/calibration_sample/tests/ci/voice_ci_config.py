"""Thresholds of the two voices. Each preset has names of its own; they are never mixed."""

CONCURRENCY = 16
VC_RETRY_MAX = 2

ALTO_VC_WER_MAX_CORPUS = 0.0119
ALTO_VC_N_ABOVE_50_MAX = 2
ALTO_VC_SIMILARITY_MEAN_MIN = 0.81
ALTO_VC_UTMOS_MEAN_REFERENCE: float | None = 3.9
_ALTO_VC_P95 = {16: {"throughput_qps": 17.0, "latency_mean_s": 0.95, "rtf_mean": 0.22}}
ALTO_VC_STREAM_TTFA_P95_S_REF = 0.310
_ALTO_VC_STREAM_P95 = {16: {"throughput_qps": 15.5}}

BASS_VC_WER_MAX_CORPUS = 0.014
BASS_VC_N_ABOVE_50_MAX = 1
BASS_VC_SIMILARITY_MEAN_MIN = 0.78
BASS_VC_UTMOS_MEAN_REFERENCE: float | None = 3.7
_BASS_VC_P95 = {16: {"throughput_qps": 14.2, "latency_mean_s": 1.12, "rtf_mean": 0.26}}
BASS_VC_STREAM_TTFA_P95_S_REF = 0.355
_BASS_VC_STREAM_P95 = {16: {"throughput_qps": 12.9}}
