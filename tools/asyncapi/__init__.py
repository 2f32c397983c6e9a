"""The system as an AsyncAPI 3 document, for tools of other teams; and its check by the official parser."""
