"""Four bare services that carry an order to CONFIRMED: the same records in the same topics, and the same rows.

``python -m bench.bare.flow order`` and so on. Each reads what the service of this project reads, decodes what it
decides, and writes what that writes, in transactions with the offsets: orders of which every product is there and
every charge succeeds. Nothing else is done: no repeat is recognised, no failure undone, nothing waits, is checked or
set aside.
"""
