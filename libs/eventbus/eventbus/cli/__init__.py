"""The command line: ``python -m eventbus tail | decode | send | why | dlq | skip | topics``."""

from eventbus.cli.app import main

__all__ = ["main"]
