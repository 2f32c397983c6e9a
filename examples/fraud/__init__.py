"""A fifth service: it reads OrderCreated, says which orders look suspicious, and touches nothing else."""
