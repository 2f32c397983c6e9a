"""A Confluent-compatible schema registry, where one is configured: its ids for the schemas of this process.

Without ``SCHEMA_REGISTRY_URL`` nothing here is used, and the pinned ids of the schema packages serve alone.
"""
