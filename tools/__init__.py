"""What develops and operates the system: the local stack, the demo, the audit, the load generator."""
