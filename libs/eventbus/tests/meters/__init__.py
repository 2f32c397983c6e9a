"""A schema package for the tests of versions: a message in two major versions, one of them with a minor one."""
