"""Runs a real service with a hook after each step of its processor."""

from __future__ import annotations

import functools
import runpy
import sys

import eventbus
from eventbus.processing.ports import AfterStep


def run_with(after_step: AfterStep) -> None:
    """Run the service that the command line names; returns when it ends. ``serve`` passes the hook on."""
    eventbus.serve = functools.partial(eventbus.serve, after_step=after_step)
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
