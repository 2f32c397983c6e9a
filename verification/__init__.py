"""What proves the system: the seeded simulator, chaos, the audit, and the records of a hostile producer."""
