"""Requests as no well-behaved client sends them, byte by byte, to the running services: ``make fuzz-http``."""
