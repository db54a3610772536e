"""Voice cloning: one test file, two voices (presets) and two ways to answer (variants)."""

import os

import voice_ci_config as config
from service import Service, run_requests, write_results

SEEDTTS_EN_FULLSET_SAMPLES = 120
VOICE = os.environ.get("SAMPLE_VOICE", "alto")
CENTRES = {
    "alto": {"qps": 17.6, "latency": 0.92, "rtf": 0.214, "wer": 0.0108, "sim": 0.83, "utmos": 3.98},
    "bass": {"qps": 14.0, "latency": 1.13, "rtf": 0.262, "wer": 0.0131, "sim": 0.80, "utmos": 3.74},
}


def limit(name):
    return getattr(config, f"{VOICE.upper()}_VC_{name}")


def test_voice_nonstream(tmp_path):
    counts = run_requests(max_samples=SEEDTTS_EN_FULLSET_SAMPLES)
    service, centre = Service(f"voice-{VOICE}", tmp_path), CENTRES[VOICE]
    folder = tmp_path / "vc_nonstream"
    wer = service.measure("wer", centre["wer"], 0.05)
    above = service.count("above", 0, 2)
    speed = {
        "total_requests": counts["total"],
        "completed_requests": counts["ok"],
        "throughput_qps": service.measure("qps", centre["qps"]),
        "latency_mean_s": service.measure("latency", centre["latency"]),
        "rtf_mean": service.measure("rtf", centre["rtf"]),
        "speaker_similarity_mean": service.measure("similarity", centre["sim"], 0.01),
        "utmos_mean": service.measure("utmos", centre["utmos"], 0.01),
    }
    write_results(folder / "speed_results.json", {"summary": speed})
    write_results(
        folder / "wer_results.json",
        {
            "summary": {
                "wer_corpus": wer,
                "n_above_50": above,
                "total_samples": counts["total"],
                "evaluated": counts["ok"],
            }
        },
    )
    assert wer <= limit("WER_MAX_CORPUS") * 1.25
    assert above <= limit("N_ABOVE_50_MAX") + 1
    assert speed["speaker_similarity_mean"] >= limit("SIMILARITY_MEAN_MIN")


def test_voice_stream(tmp_path):
    counts = run_requests(max_samples=SEEDTTS_EN_FULLSET_SAMPLES)
    service, centre = Service(f"voice-{VOICE}-stream", tmp_path), CENTRES[VOICE]
    folder = tmp_path / "vc_stream"
    speed = {
        "total_requests": counts["total"],
        "completed_requests": counts["ok"],
        "throughput_qps": service.measure("qps", centre["qps"] * 0.9),
        "ttfa_p95_s": service.measure("ttfa", centre["latency"] / 3, 0.03),
    }
    write_results(folder / "speed_results.json", {"summary": speed})
    assert speed["ttfa_p95_s"] <= limit("STREAM_TTFA_P95_S_REF") * 1.1
