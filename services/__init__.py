"""The four services. They share `schemas` and `eventbus`, nothing else."""
