"""Slash comments with odd spacing, case, unicode and several commands; each command gets one answer."""

from __future__ import annotations

import pytest

from projections.ci.policy import Policy
from projections.ci.slash import Asker, Target, decide, decide_all, names, parse

WRITER = Asker(author="ada", permission="write")
TARGET = Target(number=12, ref="feature", sha="a" * 40)

# (comment, what it asks for): `merge`, a test name, `?name` for an unknown one, `?` for no name
COMMENTS = [
    ("/merge", ["merge"]),
    ("/MERGE", ["merge"]),
    ("  /merge  ", ["merge"]),
    ("/merge\n", ["merge"]),
    ("/merged", []),
    ("/merge-now", []),
    ("/merge!", []),
    ("//merge", []),
    ("x /merge", []),
    ("/ merge", []),
    ("`/merge`", []),
    ("> /merge", []),
    ("  > /merge", []),
    ("please\n/merge\nthanks", ["merge"]),
    ("/merge /merge", ["merge"]),
    ("/merge\n/merge", ["merge"]),
    ("\ufeff/merge", ["merge"]),
    ("/test performance", ["performance"]),
    ("/test  performance", ["performance"]),
    ("/test\tperformance", ["performance"]),
    ("/test\u00a0performance", ["performance"]),
    ("/test\u3000performance", ["performance"]),
    ("/test \u200bperformance\u200b", ["performance"]),
    ("/test\u2028performance", ["performance"]),
    ("/test\x0bperformance", ["performance"]),
    ("/Test Performance", ["performance"]),
    ("/TEST SSIM", ["ssim"]),
    ("/test ssim please", ["ssim"]),
    ("/test ssim,", ["?ssim,"]),
    ("/test lora", ["?lora"]),
    ("/test lora-training", ["lora-training"]),
    ("/test lora_training", ["?lora_training"]),
    ("/test gate", ["?gate"]),
    ("/test .*", ["?.*"]),
    ("/test full-suite", ["?full-suite"]),
    ("/test full", ["full"]),
    ("/test fastcheck", ["fastcheck"]),
    ("/test pre-commit", ["pre-commit"]),
    ("/test", ["?"]),
    ("/test ", ["?"]),
    ("/test\nssim", ["?"]),
    ("/tests ssim", []),
    ("/testssim", []),
    ("/test\\ssim", []),
    ("/test ssim\n/test vae", ["ssim", "vae"]),
    ("/test ssim\r\n/test vae\r\n", ["ssim", "vae"]),
    ("/test ssim\r/test vae", ["ssim", "vae"]),
    ("/test ssim\n/test ssim", ["ssim"]),
    ("/test ssim\n/merge\n/test nope", ["ssim", "merge", "?nope"]),
    ("/test encoder vae", ["encoder"]),
    ("```\n/test ssim\n```", []),
    ("```sh\n/test ssim\n```\n/test vae", ["vae"]),
    ("~~~\n/test ssim\n~~~\n/merge", ["merge"]),
    ("```\n/test ssim", []),
    ("````\n```\n/merge\n````", []),
    ("/test ssim\n> /test vae", ["ssim"]),
    ("/test \u017fsim", ["?\u017fsim"]),  # the long s is no s
    ("/test \uff33\uff33\uff29\uff2d", ["?\uff33\uff33\uff29\uff2d"]),
    ("\uff0ftest ssim", []),
    ("/test \u212aernel", ["?\u212aernel"]),
    ("/test kernel", ["kernel"]),
    ("🚀 /merge", []),
    ("/merge 🚀", ["merge"]),
    ("/test \u202essim", ["ssim"]),
    ("/test s\u00adsim", ["ssim"]),
    ("", []),
    ("\n\n", []),
    ("/", []),
    ("/test/ssim", []),
    ("/test $(reboot)", ["?$(reboot)"]),
    ("/test ssim;reboot", ["?ssim;reboot"]),
    ("/test `ssim`", ["?`ssim`"]),
]


def asked(policy: Policy, comment: str) -> list[str]:
    found = []
    for command in parse(policy, comment):
        decision = decide(policy, command, WRITER, TARGET)
        if command.verb == "merge":
            found.append("merge")
        else:
            found.append(("" if decision.known else "?") + (command.name or ""))
    return found


@pytest.mark.parametrize(("comment", "expected"), COMMENTS)
def test_a_comment_asks_for_exactly_its_commands(page: Policy, comment: str, expected: list[str]) -> None:
    assert asked(page, comment) == expected


def test_there_are_more_than_45_of_them() -> None:
    assert len(COMMENTS) > 45


@pytest.mark.parametrize("comment", [comment for comment, expected in COMMENTS if expected])
def test_every_command_is_answered_and_an_answer_is_no_command(page: Policy, comment: str) -> None:
    commands = parse(page, comment)
    assert commands
    for command in commands:
        for asker in (WRITER, Asker(permission="read"), Asker(association="NONE")):
            decision = decide(page, command, asker, TARGET)
            assert decision.answer and decision.reaction
            assert parse(page, decision.answer) == []
            if not decision.allowed:
                assert decision.labels_added == decision.labels_removed == []


def test_the_real_configuration_reads_only_the_first_command_at_the_start(august: Policy) -> None:
    assert asked(august, "/test ssim\n/test vae") == ["ssim"]
    assert asked(august, "hello\n/test ssim") == []
    assert asked(august, "/test  ssim") == ["ssim"]
    assert asked(august, "/merged") == []


@pytest.mark.parametrize(
    ("permission", "may"),
    [
        ("admin", True),
        ("maintain", True),
        ("write", True),
        ("WRITE", True),
        ("triage", False),
        ("read", False),
        ("none", False),
        ("", False),
    ],
)
def test_write_permission_is_needed(page: Policy, permission: str, may: bool) -> None:
    decision = decide(page, parse(page, "/test ssim")[0], Asker(permission=permission), TARGET)
    assert decision.allowed is may
    assert ("needs write permission" in decision.answer) is not may
    assert decision.reaction == ("rocket" if may else "-1")


@pytest.mark.parametrize(
    ("association", "may"),
    [
        ("OWNER", True),
        ("MEMBER", True),
        ("COLLABORATOR", True),
        ("CONTRIBUTOR", False),
        ("NONE", False),
        (None, False),
    ],
)
def test_without_a_looked_up_permission_the_association_decides(
    page: Policy, association: str | None, may: bool
) -> None:
    assert decide(page, parse(page, "/merge")[0], Asker(association=association), TARGET).allowed is may


def test_merge_takes_ready_away_and_sets_it_again_so_that_a_fresh_suite_starts(page: Policy) -> None:
    decision = decide(page, parse(page, "/merge")[0], WRITER, TARGET)
    assert (decision.action, decision.test_type, decision.scope) == ("merge", "all", "full")
    assert decision.labels_removed == decision.labels_added == ["ready"]
    assert (decision.ref, decision.sha) == ("feature", "a" * 40)
    assert "`ready`" in decision.answer and "aaaaaaaaaaaa" in decision.answer


def test_pre_commit_runs_on_the_pull_requests_merge_ref(page: Policy) -> None:
    assert decide(page, parse(page, "/test pre-commit")[0], WRITER, TARGET).ref == "refs/pull/12/merge"


def test_an_unknown_name_is_answered_with_every_known_one(page: Policy) -> None:
    decision = decide(page, parse(page, "/test `@everyone`")[0], WRITER, TARGET)
    assert all(f"`{test.name}`" in decision.answer for test in page.commands.tests)
    assert "There is no test called `'@everyone'`." in decision.answer, "code mentions nobody"


def test_words_that_are_not_read_are_named(page: Policy) -> None:
    assert "Not read: `vae`" in decide(page, parse(page, "/test encoder vae")[0], WRITER, TARGET).answer


def test_a_comment_with_too_many_commands_is_answered_and_not_obeyed(page: Policy) -> None:
    many = "\n".join(f"/test x{n}" for n in range(21))
    (decision,) = decide_all(page, "/merge\n" + many, WRITER, TARGET)
    assert (decision.known, decision.action, decision.labels_added) == (False, None, [])
    assert "22 different commands" in decision.answer
    everything = "\n".join(names(page))
    assert all(one.known for one in decide_all(page, everything, WRITER, TARGET))


def test_names_lists_all(page: Policy) -> None:
    assert names(page)[0] == "/merge" and len(names(page)) == 19
