"""The facts of FastVideo's CI page and of its configuration, written down from the source once more.

Source: hao-ai-lab/FastVideo, its contributor page on continuous integration (spring 2026) and its
`.buildkite/pipeline.yml` of August 2026. The shipped policies are compared with these tables row by
row, so nothing here may be made from the policy files.
"""

FASTCHECK = {
    "encoder": ("fastvideo/models/encoders/a.py", "fastvideo/models/loader/a.py", "fastvideo/tests/encoders/a.py"),
    "vae": ("fastvideo/models/vaes/a.py", "fastvideo/models/loader/a.py", "fastvideo/tests/vaes/a.py"),
    "transformer": (
        "fastvideo/models/dits/a.py",
        "fastvideo/models/loader/a.py",
        "fastvideo/tests/transformers/a.py",
        "fastvideo/layers/a.py",
        "fastvideo/attention/a.py",
    ),
    "kernel_tests": ("fastvideo-kernel/a.cu",),
    "unit_test": ("fastvideo/a", "fastvideo/b/c.txt", ".buildkite/pipeline.yml", ".github/workflows/a.yml"),
}
FULL = {  # TEST_TYPE: (timeout in minutes on the page, timeout in August, files that start it)
    "ssim": (90, 90, ("fastvideo/a.py", "fastvideo/a/b/c.py")),
    "inference_lora": (
        20,
        20,
        (
            "fastvideo/tests/lora/a",
            "fastvideo/models/loader/a",
            "fastvideo/tests/transformers/a",
            "fastvideo/pipelines/a",
            "fastvideo/layers/lora/a",
        ),
    ),
    "training": (15, 25, ("fastvideo/a",)),
    "distillation_dmd": (15, 25, ("fastvideo/training/wan_distillation_pipeline.py",)),
    "self_forcing": (
        15,
        30,
        ("fastvideo/training/wan_self_forcing_distillation_pipeline.py", "fastvideo/tests/training/self-forcing/a.py"),
    ),
    "training_lora": (15, 25, ("fastvideo/a",)),
    "training_vsa": (15, 15, ("fastvideo/a", "fastvideo-kernel/a")),
    "inference_vmoba": (15, 15, ("fastvideo-kernel/a", "fastvideo/attention/backends/vmoba.py")),
    "performance": (
        30,
        30,
        (
            "fastvideo/models/dits/a",
            "fastvideo/pipelines/a",
            "fastvideo/attention/a",
            "fastvideo/layers/a",
            "fastvideo/worker/a",
            "fastvideo/entrypoints/a",
            "fastvideo/performance/a",
            "fastvideo/tests/performance/a",
            ".buildkite/performance-benchmarks/a",
        ),
    ),
    "api_server": (
        30,
        30,
        (
            "fastvideo/entrypoints/openai/a",
            "fastvideo/entrypoints/cli/serve.py",
            "fastvideo/tests/entrypoints/test_openai_api_integration.py",
        ),
    ),
}
FULL_AUGUST_ONLY = {
    "lora_extraction": (
        90,
        (
            "scripts/lora_extraction/a",
            "fastvideo/tests/lora_extraction/a",
            "fastvideo/models/loader/a",
            "fastvideo/training/training_utils.py",
            "fastvideo/layers/lora/a",
        ),
    ),
    "train_framework": (
        30,
        (
            "fastvideo/train/a",
            "fastvideo/tests/train/models/a",
            "fastvideo/tests/train/fixtures/a",
            "fastvideo/models/dits/a",
            "fastvideo/models/loader/a",
        ),
    ),
    "eval": (90, ("fastvideo/eval/a", "fastvideo/tests/eval/a")),
}
TYPE_LABELS = {
    "feat": "type: feat",
    "feature": "type: feat",
    "bugfix": "type: bugfix",
    "fix": "type: bugfix",
    "refactor": "type: refactor",
    "perf": "type: perf",
    "ci": "type: ci",
    "doc": "type: docs",
    "docs": "type: docs",
    "misc": "type: misc",
    "chore": "type: misc",
    "kernel": None,
    "new-model": "type: new-model",
}
SCOPES = {
    "scope: training": (
        "fastvideo/train/",
        "fastvideo/training/",
        "fastvideo/distillation/",
        "examples/train/",
        "examples/training/",
        "examples/distill/",
    ),
    "scope: inference": (
        "fastvideo/pipelines/basic/",
        "fastvideo/pipelines/stages/",
        "fastvideo/pipelines/samplers/",
        "fastvideo/entrypoints/",
        "fastvideo/worker/",
        "fastvideo/api/sampling_param.py",
        "fastvideo/configs/pipelines/",
        "examples/inference/",
    ),
    "scope: attention": ("fastvideo/attention/",),
    "scope: kernel": ("fastvideo-kernel/", "csrc/"),
    "scope: data": ("fastvideo/dataset/", "fastvideo/pipelines/preprocess/", "examples/preprocessing/"),
    "scope: infra": (".github/", ".buildkite/", "fastvideo/tests/", "docker/"),
    "scope: distributed": ("fastvideo/distributed/",),
    "scope: docs": ("docs/",),
    "scope: ui": ("ui/",),
    "scope: model": ("fastvideo/models/", "fastvideo/layers/", "fastvideo/configs/models/"),
}
SLASH = {
    "encoder": ("encoder", "direct"),
    "vae": ("vae", "direct"),
    "transformer": ("transformer", "direct"),
    "ssim": ("ssim", "direct"),
    "training": ("training", "direct"),
    "performance": ("performance", "direct"),
    "kernel": ("kernel_tests", "direct"),
    "unit": ("unit_test", "direct"),
    "lora-inference": ("inference_lora", "direct"),
    "lora-training": ("training_lora", "direct"),
    "distillation": ("distillation_dmd", "direct"),
    "self-forcing": ("self_forcing", "direct"),
    "vsa": ("training_vsa", "direct"),
    "vmoba": ("inference_vmoba", "direct"),
    "api": ("api_server", "direct"),
    "full": ("all", "full"),
    "fastcheck": ("fastcheck", "fastcheck"),
    "pre-commit": ("pre-commit", "pre-commit"),
}
SLASH_AUGUST_ONLY = {
    "dreamverse": ("dreamverse_app", "direct"),
    "golden-gate": ("golden_gate", "direct"),
    "lora-extraction": ("lora_extraction", "direct"),
    "train-framework": ("train_framework", "direct"),
    "eval": ("eval", "direct"),
}
