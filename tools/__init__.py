"""What develops and operates the system: the local stack, the demo, the load generator, code generation."""
