"""The command line: ``python -m eventbus dlq list | show | redrive | discard``."""

from eventbus.cli.app import main

__all__ = ["main"]
