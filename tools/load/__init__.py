"""A load generator: orders at a fixed rate, and how long each takes from POST to its end.

    python -m tools.load --rate 200 --seconds 60
    python -m tools.load --rate 150 --seconds 20 --bad-share 0.05
    python -m tools.load.rounds --rate 150 --seconds 20 --bad-share 0.05     with and without, by turns

It is an open loop: requests go out by the clock, however slow the answers are, and every latency counts from the
moment the request was *due*. A system that stalls is thus not asked less, nor does it look better (no coordinated
omission; G. Tene, "How NOT to Measure Latency").
"""
