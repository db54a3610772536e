"""Question answering: plain threshold literals, written in every way people write them."""

from service import Service, run_requests, write_results

CONCURRENCY = 16
TEXTQA_SAMPLES = 200

TEXTQA_MIN_ACCURACY: float = 0.71  # answers that match the reference
TEXTQA_WER_MAX_CORPUS = 2.5e-2  # spoken answers
TEXTQA_MAX_FAILED_REQUESTS = 0
TEXTQA_THROUGHPUT_MIN = 1_2.0
TEXTQA_LATENCY_MEAN_MAX_S = (0.900)
TEXTQA_FIRST_TOKEN_P95_MAX_S = 0.350

TEXTQA_ACCURACY_THRESHOLD = TEXTQA_MIN_ACCURACY * 0.98


def test_textqa(tmp_path):
    counts = run_requests(max_samples=TEXTQA_SAMPLES, max_concurrency=CONCURRENCY)
    service = Service("textqa", tmp_path)
    accuracy = service.measure("accuracy", 0.745, 0.01)
    wer = service.measure("wer", 0.0192, 0.08)
    speed = {
        "throughput_qps": service.measure("throughput", 13.1),
        "latency_mean_s": service.measure("latency", 0.842),
        "first_token_p95_s": service.measure("first_token", 0.371, 0.03),
        "completed_requests": counts["ok"],
    }
    folder = tmp_path / "textqa"
    write_results(
        folder / "textqa_results.json",
        {
            "summary": {"accuracy": accuracy, "total_samples": counts["total"], "failed": 0},
            "speech": {"wer_corpus": wer},
            "speed": speed,
        },
    )
    assert accuracy >= TEXTQA_ACCURACY_THRESHOLD
    assert wer <= TEXTQA_WER_MAX_CORPUS * 1.25
    assert speed["throughput_qps"] >= TEXTQA_THROUGHPUT_MIN * 0.9
    assert speed["latency_mean_s"] <= TEXTQA_LATENCY_MEAN_MAX_S * 1.1
    assert speed["first_token_p95_s"] <= TEXTQA_FIRST_TOKEN_P95_MAX_S * 1.1
