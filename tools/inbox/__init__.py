"""A mail server for development that keeps what it is given, with a page to look at (``make up MAIL=1``)."""
