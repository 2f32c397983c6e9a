"""Measurements of single parts: each module is a program that prints its rows as JSON (``bench.result``)."""
