"""The references: what a careful author writes with confluent-kafka, fastavro and FastAPI alone.

They import nothing of this project, so that no change of it changes what it is compared with.
"""
