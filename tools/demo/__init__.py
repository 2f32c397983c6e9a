"""The demo: real invoices through a running system, then the audit. ``make demo``, ``make demo DATA=file``.

``invoices`` reads the data and says what is odd about it, ``posting`` talks HTTP, ``tally`` counts and words what
happened.
"""
