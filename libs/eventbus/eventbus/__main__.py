"""``python -m eventbus``: what operates a system of services."""

from eventbus.cli import main

if __name__ == "__main__":
    main()
