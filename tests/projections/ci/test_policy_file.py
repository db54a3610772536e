"""Policy files: read strictly, every fault named with its place, the digest stable."""

from __future__ import annotations

import pytest

from ledger.errors import BadInput
from projections.ci.policy import as_data, digest, from_data, from_yaml
from tests.projections.ci.conftest import SHIPPED, shipped

TEXT = (SHIPPED / "fastvideo-page.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("aggregates: strict", "aggregates: lenient", r"lenient.*\$\.aggregates"),
        ("aggregates: strict", "agregates: strict", "unknown field `agregates`"),
        ("format: perfledger-ci-policy/1", "format: perfledger-ci-policy/9", r"\$\.format"),
        (
            "    timeout_minutes: 20\n    watches: [fastvideo/models/enc",
            "    timeout_minutes: twenty\n    watches: [fastvideo/models/enc",
            r"\$\.lanes\[0\]\.timeout_minutes",
        ),
        (
            "    timeout_minutes: 20\n    watches: [fastvideo/models/enc",
            "    timeout_minutes: 0\n    watches: [fastvideo/models/enc",
            r"lanes\[0\]\.timeout_minutes: must be above 0",
        ),
        (
            "    tier: fastcheck\n    test_type: encoder",
            "    tier: fastchek\n    test_type: encoder",
            r"lanes\[0\]\.tier: there is no tier 'fastchek'",
        ),
        (
            "context: buildkite/ci/microscope-encoder-tests",
            "context: buildkite/ci/encoder-tests",
            r"lanes\[0\]\.context: .* its aggregate would never see it",
        ),
        ("test_type: vae\n", "test_type: encoder\n", r"lanes\[\]\.test_type: 'encoder' is listed twice"),
        (
            "watches: [fastvideo-kernel/**]",
            "watches: ['fastvideo-kernel/[*']",
            r"lanes\[3\]: the pattern .* `\[` without",
        ),
        ("watches: [fastvideo-kernel/**]", "watches: ['']", "an empty pattern would match every file"),
        (
            "{tag: kernel}",
            "{tag: kernel, pattern: '('}",
            r"title\.tags\[11\]\.pattern: '\(' is not a regular expression",
        ),
        ("{tag: kernel}", "{tag: kernel, pattern: 'k(?=x)'}", "lookaround or a backreference"),
        ("{tag: kernel}", r"{tag: kernel, pattern: '(k)\1'}", "lookaround or a backreference"),
        ("test_type: kernel_tests, scope", "test_type: kernels, scope", r"no lane has the TEST_TYPE 'kernels'"),
        ("{name: api,", "{name: API,", r"'API' is not one lower-case word"),
        ("kind: title}", "kind: titel}", r"\$\.merge\.conditions\[4\]\.kind"),
        (
            "kind: aggregate, tier: full}",
            "kind: aggregate, tier: pre-commit}",
            "no tier 'pre-commit' with an aggregate",
        ),
        ("kind: aggregate, tier: full}", "kind: aggregate}", "needs the field tier"),
        ("at_least: 1", "at_least: 0", "must be 1 or more"),
        ("{id: open,", "{id: title,", r"merge\.conditions\[\]\.id: 'title' is listed twice"),
        ("base_branches: [main]", "base_branches: [main", "not readable as YAML"),
        ("base_branches: [main]", "base_branches: [main]\nbase_branches: [x]", "not readable as YAML.*duplicate key"),
        ("merge:\n  method: squash", "merge:\n  method: squish", r"\$\.merge\.method"),
    ],
)
def test_a_fault_is_named_with_file_and_place(old: str, new: str, told: str) -> None:
    assert TEXT.count(old) >= 1, old
    with pytest.raises(BadInput, match=f"(?s)my.yaml: .*{told}") as caught:
        from_yaml(TEXT.replace(old, new, 1), where="my.yaml")
    assert caught.value.exit_code == 2 and "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "just text", "1", "\t", "a: b: c", "!!python/object:os.system x"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^p\.yaml: "):
        from_yaml(text, where="p.yaml")


def test_the_digest_is_over_content_and_survives_a_round_trip() -> None:
    policy = shipped("fastvideo-page")
    assert from_data(as_data(policy), where="x") == policy
    assert digest(from_yaml("# a comment\n" + TEXT, where="x")) == digest(policy)
    assert digest(from_yaml(TEXT.replace("aggregates: strict\n", ""), where="x")) == digest(policy)
    assert digest(from_yaml(TEXT.replace("aggregates: strict", "aggregates: observed"), where="x")) != digest(policy)
