"""``python -m tools.stack <verb>``: what the Makefile calls.

Any Python 3.11 may run this: for local processes it continues in the repository's virtual environment,
which ``make`` prepares on the way.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tools.stack.compose import ComposeStack
from tools.stack.mode import Choice, choose, engine_missing
from tools.stack.native import LocalStack
from tools.stack.private import close_to_others, write_privately
from tools.stack.settings import ROOT, Record, StackError, StackSettings, known_service, parse_scale
from tools.stack.supervisor import Supervisor

VENV = ROOT / ".venv"
ANNOUNCED = "STACK_ANNOUNCED"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--run-dir", help="where everything generated stays (STACK_RUN_DIR, default .run)")
    common.add_argument(
        "--port-base", type=int, help="port of the order service (STACK_PORT_BASE, default 8000)"
    )
    common.add_argument("--kafka-port", type=int, help="port of the broker (STACK_KAFKA_PORT, default 9092)")
    top = argparse.ArgumentParser(prog="python -m tools.stack", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("mode", "print `local` or `docker`"),
        ("up", "start the stack and wait until it is ready"),
        ("down", "end the stack; its data stays"),
        ("ps", "list its processes"),
        ("clean", "end the stack and forget its data"),
    ):
        verbs.add_parser(verb, help=text, parents=[common])
    logs = verbs.add_parser("logs", help="show the logs, following them on a terminal", parents=[common])
    logs.add_argument("service", nargs="?", help="of one service only")
    for verb, text in (
        ("run", "run one replica more of a service: show its log until Ctrl-C, then end it"),
        ("restart", "restart the replicas of a service, one after the other, with today's code"),
    ):
        verbs.add_parser(verb, help=text, parents=[common]).add_argument("service", nargs="?")
    scale = verbs.add_parser("scale", help="run more or fewer replicas", parents=[common])
    scale.add_argument("counts", nargs="*", metavar="service=count")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 if it worked, 1 with a sentence on stderr if not."""
    arguments = parser().parse_args(argv)
    try:
        settings = StackSettings.from_env(
            os.environ, arguments.run_dir, arguments.port_base, arguments.kafka_port
        )
        _run(arguments, settings)
        sys.stdout.flush()
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `make ps | head`: who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's last flush
        return 0 if arguments.verb in ("mode", "ps", "logs") else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(arguments: argparse.Namespace, settings: StackSettings) -> None:
    if arguments.verb == "scale":
        parse_scale(arguments.counts)  # a mistake is named before anything is installed
    if arguments.verb in ("run", "restart"):
        known_service(arguments.service, arguments.verb)
    choice = choose(os.environ.get("STACK", ""), _running(settings), engine_missing)
    if arguments.verb == "mode":
        print(choice.mode)
        return
    if arguments.verb == "up":
        _announce(choice)
    if choice.mode == "local" and arguments.verb in ("up", "scale", "run", "restart"):
        _enter_venv()
    stack = _stack(choice.mode, settings)
    if arguments.verb == "logs":
        stack.logs(arguments.service, follow=sys.stdout.isatty())
    elif arguments.verb == "ps":
        stack.ps()
    elif arguments.verb == "run":
        _attend(arguments.service, settings, stack)
    else:
        with _lock(settings):
            _change(arguments, settings, stack)


def _change(arguments: argparse.Namespace, settings: StackSettings, stack: LocalStack | ComposeStack) -> None:
    match arguments.verb:
        case "up":
            stack.up()
        case "down":
            stack.down()
        case "scale":
            stack.scale(parse_scale(arguments.counts))
        case "restart":
            _must_run(stack)
            stack.restart(arguments.service)
        case "clean":
            stack.clean()
            if isinstance(stack, ComposeStack):  # an earlier local stack's data goes too
                _stack("local", settings).clean()


def _attend(service: str, settings: StackSettings, stack: LocalStack | ComposeStack) -> None:
    """Run one replica more of a service for as long as somebody watches its log."""
    # A terminal that is closed, or a kill, ends it like Ctrl-C: nothing may stay behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    _must_run(stack)
    there = stack.replicas(service)
    wanted = Record.load(settings.run_dir).scale[service]
    parse_scale([f"{service}={there + 1}"])
    try:
        with _lock(settings):
            stack.scale({service: there + 1})
        print(f"{service} answers at {stack.url(service, there)} until Ctrl-C.", flush=True)
        stack.follow(service, there)
    except KeyboardInterrupt:
        pass
    finally:
        with _lock(settings):
            stack.scale({service: there})
            # What the next `up` starts is what it would have started before.
            record = Record.load(settings.run_dir)
            replace(record, scale={**record.scale, service: wanted}).save(settings.run_dir)


def _must_run(stack: LocalStack | ComposeStack) -> None:
    if not stack.running():
        raise StackError("The stack is not running: start it with `make up`.")


def _stack(mode: str, settings: StackSettings) -> LocalStack | ComposeStack:
    return ComposeStack(settings) if mode == "docker" else LocalStack(settings)


def _running(settings: StackSettings) -> str:
    if Supervisor(settings.run_dir).pid() is not None:
        return "local"
    recorded = Record.load(settings.run_dir).mode == "docker"
    return "docker" if recorded and not engine_missing() and ComposeStack(settings).running() else ""


def _announce(choice: Choice) -> None:
    if not os.environ.pop(ANNOUNCED, ""):
        print(choice.sentence, flush=True)


def _enter_venv() -> None:
    """Continue in the virtual environment, prepared by make; does nothing inside it."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    made = subprocess.run(["make", "--no-print-directory", "-C", str(ROOT), ".venv/.stack"])
    if made.returncode:
        raise StackError("The Python environment could not be prepared: the reason stands above.")
    os.environ[ANNOUNCED] = "1"
    os.chdir(ROOT)
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, "-m", "tools.stack", *sys.argv[1:]])


@contextmanager
def _lock(settings: StackSettings) -> Iterator[None]:
    """One command at a time changes a stack."""
    write_privately()
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    close_to_others(settings.run_dir)
    with (settings.run_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another command on this stack to end ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
