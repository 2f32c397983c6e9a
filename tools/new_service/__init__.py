"""A new service from a template: ``make new-service NAME=shipping``."""
