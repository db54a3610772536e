"""Payloads in the shapes of GitHub's and Buildkite's public webhook documentation, with fields nobody here reads.

Shapes: docs.github.com "Webhook events and payloads", buildkite.com/docs "Webhooks". Values are made up.
"""

from __future__ import annotations

from typing import Any

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
USER = {
    "login": "octocat",
    "id": 1,
    "node_id": "MDQ6VXNlcjE=",
    "avatar_url": "https://example.org/a.gif",
    "gravatar_id": "",
    "url": "https://api.example.org/users/octocat",
    "type": "User",
    "site_admin": False,
}
REPOSITORY = {
    "id": 1296269,
    "node_id": "MDEwOlJlcG9zaXRvcnkxMjk2MjY5",
    "name": "Hello-World",
    "full_name": "octocat/Hello-World",
    "private": False,
    "owner": USER,
    "fork": False,
    "html_url": "https://example.org/octocat/Hello-World",
    "default_branch": "main",
    "topics": [],
}
COMMON = {"repository": REPOSITORY, "sender": USER, "installation": {"id": 5, "node_id": "x"}}


def status(
    *,
    number: int = 6805126730,
    context: str = "pre-commit",
    state: str = "success",
    sha: str = SHA,
    at: str = "2026-06-01T10:00:00+00:00",
) -> dict[str, Any]:
    """A `status` event."""
    return {
        **COMMON,
        "id": number,
        "sha": sha,
        "name": "octocat/Hello-World",
        "target_url": "https://ci.example.org/1",
        "avatar_url": None,
        "context": context,
        "description": "All checks passed",
        "state": state,
        "commit": {"sha": sha, "commit": {"message": "Fix"}, "author": USER},
        "branches": [{"name": "work"}],
        "created_at": at,
        "updated_at": at,
    }


def check_run(
    *, action: str = "completed", conclusion: str | None = "success", name: str = "pre-commit"
) -> dict[str, Any]:
    """A `check_run` event."""
    done = action == "completed"
    return {
        **COMMON,
        "action": action,
        "check_run": {
            "id": 128620228,
            "name": name,
            "node_id": "MDg6Q2hlY2tSdW4xMjg2MjAyMjg=",
            "head_sha": SHA,
            "external_id": "",
            "url": "https://api.example.org/check-runs/128620228",
            "details_url": "https://ci.example.org/1",
            "status": "completed" if done else "queued",
            "conclusion": conclusion if done else None,
            "started_at": "2026-06-01T10:00:00Z",
            "completed_at": "2026-06-01T10:02:00Z" if done else None,
            "output": {"title": None, "summary": None, "text": None, "annotations_count": 0},
            "check_suite": {"id": 118578147, "head_branch": "work", "head_sha": SHA},
            "pull_requests": [],
        },
    }


def pull_request(
    *,
    action: str = "opened",
    number: int = 2,
    mergeable: bool | None = None,
    labels: tuple[str, ...] = (),
    at: str = "2026-06-01T10:00:00Z",
    sha: str = SHA,
    **more: Any,
) -> dict[str, Any]:
    """A `pull_request` event."""
    return {
        **COMMON,
        "action": action,
        "number": number,
        "pull_request": {
            "id": 279147437,
            "number": number,
            "state": "open",
            "locked": False,
            "title": "[fix] Update the README",
            "user": USER,
            "body": "Please pull these in.",
            "created_at": at,
            "updated_at": at,
            "closed_at": None,
            "merged_at": None,
            "merge_commit_sha": None,
            "assignees": [],
            "requested_reviewers": [],
            "labels": [{"id": 7, "name": name, "color": "f29513", "default": False} for name in labels],
            "draft": False,
            "head": {"label": "octocat:work", "ref": "work", "sha": sha, "user": USER, "repo": REPOSITORY},
            "base": {"label": "octocat:main", "ref": "main", "sha": "0" * 40, "user": USER, "repo": REPOSITORY},
            "author_association": "OWNER",
            "merged": False,
            "mergeable": mergeable,
            "mergeable_state": "unknown",
            "comments": 0,
            "commits": 1,
            "additions": 1,
            "deletions": 1,
            "changed_files": 1,
            **more,
        },
    }


def review(*, action: str = "submitted", state: str = "approved") -> dict[str, Any]:
    """A `pull_request_review` event."""
    return {
        **COMMON,
        "action": action,
        "review": {
            "id": 237895671,
            "user": {**USER, "login": "hubot"},
            "body": None,
            "commit_id": SHA,
            "state": state,
            "submitted_at": "2026-06-01T11:00:00Z",
            "author_association": "MEMBER",
        },
        "pull_request": {key: value for key, value in pull_request()["pull_request"].items() if key != "mergeable"},
    }


def comment(
    *,
    body: str = "/test ssim",
    number: int = 2,
    comment_id: int = 492700400,
    action: str = "created",
    association: str = "MEMBER",
    on_pull: bool = True,
) -> dict[str, Any]:
    """An `issue_comment` event."""
    issue: dict[str, Any] = {
        "id": 444500041,
        "number": number,
        "title": "Spelling error",
        "user": USER,
        "state": "open",
    }
    if on_pull:
        issue["pull_request"] = {"url": "https://api.example.org/pulls/2", "merged_at": None}
    return {
        **COMMON,
        "action": action,
        "issue": issue,
        "comment": {
            "id": comment_id,
            "user": USER,
            "created_at": "2026-06-01T12:00:00Z",
            "updated_at": "2026-06-01T12:00:00Z",
            "author_association": association,
            "body": body,
            "performed_via_github_app": None,
        },
    }


def push() -> dict[str, Any]:
    """A `push` event."""
    return {
        **COMMON,
        "ref": "refs/heads/work",
        "before": "0" * 40,
        "after": SHA,
        "created": True,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": "https://example.org/compare",
        "commits": [
            {
                "id": SHA,
                "tree_id": "1" * 40,
                "distinct": True,
                "message": "Fix",
                "added": ["b.py"],
                "removed": ["c.py"],
                "modified": ["a.py"],
                "author": {"name": "o", "email": "o@example.org"},
            }
        ],
        "head_commit": None,
        "pusher": {"name": "octocat", "email": "o@example.org"},
    }


def ping() -> dict[str, Any]:
    """A `ping` event."""
    return {"zen": "Design for failure.", "hook_id": 30, "hook": {"type": "Repository", "id": 30}, **COMMON}


BUILD = {
    "id": "f62a1b4d-10f9-4790-bc1c-e2c3a0c80983",
    "number": 27,
    "state": "passed",
    "blocked": False,
    "url": "https://api.example.org/builds/27",
    "web_url": "https://ci.example.org/builds/27",
    "message": "Fix",
    "commit": SHA,
    "branch": "work",
    "tag": None,
    "source": "webhook",
    "author": None,
    "creator": None,
    "created_at": "2026-06-01 10:00:00 UTC",
    "scheduled_at": "2026-06-01 10:00:00 UTC",
    "started_at": "2026-06-01 10:01:00 UTC",
    "finished_at": "2026-06-01 10:09:00 UTC",
    "meta_data": {},
    "pull_request": {"id": "2", "base": "main", "repository": "git://example.org/octocat/Hello-World"},
}
PIPELINE = {"id": "88d73553-5533-4f56-9c16-fb85d7817d8f", "name": "CI", "slug": "ci", "provider": {"id": "github"}}


def buildkite_job(
    *, state: str = "passed", label: str = ":microscope: VAE Tests", kind: str = "script"
) -> dict[str, Any]:
    """A `job.finished` event."""
    return {
        "event": "job.finished",
        "build": BUILD,
        "pipeline": PIPELINE,
        "sender": {"id": "x", "name": "Ada"},
        "job": {
            "id": "b63254c0-3271-4a98-8270-7cfbd6c2f14e",
            "type": kind,
            "name": label,
            "step_key": None,
            "state": state,
            "web_url": "https://ci.example.org/jobs/1",
            "command": "make test",
            "soft_failed": False,
            "exit_status": 0 if state == "passed" else 1,
            "retried": False,
            "created_at": "2026-06-01 10:00:00 UTC",
            "started_at": "2026-06-01 10:01:00 UTC",
            "finished_at": "2026-06-01 10:08:00 UTC",
            "agent": {"id": "y", "name": "gpu-1"},
        },
    }


def buildkite_build(*, state: str = "passed") -> dict[str, Any]:
    """A `build.finished` event."""
    return {
        "event": "build.finished",
        "build": {**BUILD, "state": state},
        "pipeline": PIPELINE,
        "sender": {"id": "x", "name": "Ada"},
    }


def buildkite_ping() -> dict[str, Any]:
    """A `ping` event."""
    return {
        "event": "ping",
        "service": {"id": "c9f8372d", "provider": "webhook", "settings": {}},
        "organization": {"id": "z", "slug": "acme"},
        "sender": {"id": "x", "name": "Ada"},
    }
