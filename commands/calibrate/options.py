"""The options every calibrate command takes for finding models, hosts and the repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def config_dir_option(function: Function) -> Function:
    """Add `--config-dir` as `config_dir`."""
    return click.option(
        "--config-dir",
        metavar="DIR",
        help="Folder with models/ and hosts/. Default: the nearest one upward.",
    )(function)


def model_option(function: Function) -> Function:
    """Add `--model` as `model`."""
    return click.option("--model", metavar="NAME", help="The model. Default: the only one there is.")(function)


def host_option(function: Function) -> Function:
    """Add `--host` as `host`."""
    return click.option("--host", metavar="NAME", help="Host profile. Default: $TUNE_HOST, else by hostname.")(function)


def repo_root_option(function: Function) -> Function:
    """Add `--repo-root` as `repo_root`."""
    return click.option(
        "--repo-root",
        metavar="DIR",
        help="Root of the measured repository. Default: where the configuration was found.",
    )(function)
