"""The environment a repeat measures in: fingerprint, caches, credentials, workspace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu_runner import caches, fingerprint, hosts, workspace
from ledger.errors import BadInput
from ledger.outside.redaction import Redactor


def document(**env: str) -> dict[str, object]:
    return fingerprint.fingerprint(python=sys.executable, packages=("PyTest", "not-installed"), env=env, nvml=None)


def test_a_fingerprint_names_packages_of_the_tests_interpreter_and_settings_that_matter() -> None:
    made = document(VLLM_USE_V1="1", HOME="/root", NCCL_DEBUG="INFO", CUDA_VISIBLE_DEVICES="0,1")
    assert made["packages"] == {"PyTest": pytest.__version__}
    assert made["settings"] == {"NCCL_DEBUG": "INFO", "VLLM_USE_V1": "1"}
    assert str(made["python"]).startswith("CPython 3.") and made["driver"] is None and made["gpus"] is None


def test_a_fingerprint_never_holds_a_secret() -> None:
    made = document(VLLM_API_KEY="abc", TORCH_HUB_TOKEN="abc", NVIDIA_AUTH="abc", SGLANG_SECRET="abc")
    assert made["settings"] == {}


def test_equal_environments_have_equal_digests_and_others_have_not() -> None:
    same = fingerprint.digest(document(OMP_NUM_THREADS="8"))
    assert same == fingerprint.digest(document(OMP_NUM_THREADS="8", CUDA_VISIBLE_DEVICES="1", TERM="xterm"))
    assert same != fingerprint.digest(document(OMP_NUM_THREADS="4"))


def test_an_interpreter_that_does_not_run_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    missing = str(tmp_path / "none")
    for python, why in ((str(broken), "error while loading shared libraries"), (missing, "No such file")):
        with pytest.raises(BadInput, match=why):
            fingerprint.fingerprint(python=python, packages=(), env={}, nvml=None)


def test_a_container_is_known_by_the_name_its_starter_gave() -> None:
    assert hosts.container({"PERFLEDGER_CONTAINER_IMAGE": "sglang@sha256:abc"}) == "sglang@sha256:abc"
    assert hosts.container({"CONTAINER_IMAGE": "b", "IMAGE_DIGEST": "c"}) == "b"
    assert hosts.facts()["cpu_count"] == os.cpu_count() and len(hosts.boot_id()) == 36


@pytest.mark.parametrize(
    ("name", "value", "blanked"),
    [
        ("HF_TOKEN", "abcdefgh12", True),
        ("MY_API_KEY", "abcdefgh12", True),
        ("DB_PASSWORD", "abcdefgh12", True),
        ("TOKENIZERS_PARALLELISM", "true", False),
        ("HF_TOKEN", "short", False),
        ("MODEL", "abcdefgh12", False),
    ],
)
def test_values_of_credentials_are_blanked_and_settings_are_not(name: str, value: str, blanked: bool) -> None:
    assert Redactor({name: value}).text(f"using {value}.") == ("using ***." if blanked else f"using {value}.")


def test_tokens_of_a_known_shape_are_blanked_wherever_they_come_from() -> None:
    clean = Redactor({}).clean
    assert clean(b"x hf_" + b"a" * 34 + b" y") == b"x *** y"
    assert clean(b"ghp_" + b"A1" * 18) == b"***" and clean(b"hf_hub_download") == b"hf_hub_download"
    assert clean(b"\xff\xfe binary") == b"\xff\xfe binary"


def test_a_longer_credential_is_blanked_before_one_it_contains() -> None:
    redactor = Redactor({"A_TOKEN": "secret-one", "B_TOKEN": "secret-one-and-more"})
    assert redactor.text("secret-one-and-more secret-one") == "*** ***"


def test_a_cache_in_its_default_place_although_moved_elsewhere_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    stray = home / ".triton" / "cache" / "abc"
    env = {
        "HOME": str(home),
        "USER": "me",
        "TRITON_CACHE_DIR": str(tmp_path / "moved"),
        "XDG_CACHE_HOME": str(home / ".cache"),
    }
    began = time.time() - 1
    assert caches.strays(env, began) == []
    stray.mkdir(parents=True)
    (home / ".cache" / "flashinfer").mkdir(parents=True)  # where XDG_CACHE_HOME says: in its place
    (sentence,) = caches.strays(env, began)
    assert sentence.startswith("JIT cache in the wrong place: the Triton cache") and str(home) in sentence
    assert caches.strays(env, time.time() + 60) == [], "an old cache was not written by this repeat"
    assert caches.strays({"HOME": str(home), "USER": "me"}, began) == [], "without a setting the default is right"


def test_wiping_removes_whole_caches_and_refuses_what_cannot_be_one(tmp_path: Path) -> None:
    cache = tmp_path / "a" / "flashinfer"
    (cache / "deep").mkdir(parents=True)
    link = tmp_path / "a" / "link"
    link.symlink_to(tmp_path)
    assert caches.wipe([cache, tmp_path / "a" / "absent"]) == [cache] and not cache.exists()
    cache.mkdir()
    for wrong in (link, tmp_path, Path("/usr"), Path("cache")):
        with pytest.raises(BadInput, match="will not be wiped"):
            caches.wipe([cache, wrong], keep=[tmp_path / "a" / "repo"])
    assert cache.exists(), "nothing is removed when one of the names is wrong"


def test_a_workspace_outside_git_is_unknown_and_inside_it_is_exact(tmp_path: Path) -> None:
    assert workspace.look(tmp_path) == workspace.Workspace(None, None)
    git = ["git", "-C", str(tmp_path), "-c", "user.email=t@example.org", "-c", "user.name=t"]
    (tmp_path / "a").write_text("1\n")
    for args in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *args], check=True)
    clean = workspace.look(tmp_path)
    assert len(clean.sha or "") == 40 and clean.dirty is False and clean.diff == b""
    (tmp_path / "b").write_text("untracked\n")
    assert workspace.look(tmp_path).dirty is True and workspace.look(tmp_path).diff == b""
    (tmp_path / "b").rename(tmp_path / ".git" / "b")
    for name in (".perfledger/log", "runs/x/_pytest/u"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("ours\n")
    own = tmp_path / "runs" / "x" / "_pytest" / "u" / "run1.log"
    assert workspace.look(tmp_path).dirty is True
    assert workspace.look(tmp_path, ours=[own]).dirty is False, "the run's own output is no change of the code"
    (tmp_path / "a").write_text("2\n")
    assert workspace.look(tmp_path, ours=[own]).dirty is True
    assert b"-1\n+2\n" in workspace.look(tmp_path).diff
