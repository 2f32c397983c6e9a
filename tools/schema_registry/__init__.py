"""The schemas of this repository for schema registries: a server of the files, and filling a registry with them."""
