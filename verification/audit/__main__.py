"""``python -m verification.audit``: 0 if the audit is clean, 1 if something is violated, 2 if it cannot be made."""

from __future__ import annotations

import argparse
import sys

from eventbus.visible import visible
from tools import system
from tools.stack.settings import StackError
from verification.audit.gateway import GatewayAway
from verification.audit.reading import KafkaAway
from verification.audit.report import as_json, text
from verification.audit.run import audit


def main(argv: list[str] | None = None) -> int:
    """Audit the system that the options name, and print the result."""
    parser = argparse.ArgumentParser(
        prog="python -m verification.audit", description="Audit money, stock and orders."
    )
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for what is under way (30)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every list in full")
    parser.add_argument("--no-gateway", action="store_true", help="do not compare with the gateway's record")
    system.add_options(parser)
    options = parser.parse_args(argv)
    try:
        result = audit(
            system.find(options),
            wait=options.wait,
            with_gateway=not options.no_gateway,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except (KafkaAway, GatewayAway, StackError) as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(as_json(result) if options.json else text(result))
    return 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main())
