"""``python -m tools.reference`` writes ``docs/reference`` from the code; ``--check`` says what is out of date.

What a name means stands with the name: in its docstring, in the description of a setting, in the help of a metric.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from pydantic_settings import BaseSettings

import eventbus.http
import eventbus.http.problem_types
import eventbus.http_client
import eventbus.metrics
import eventbus.testing
import services
from eventbus.cli.ending import CommandError
from eventbus.http.problem_pages import page
from eventbus.http.problem_types import ProblemType
from eventbus.settings import AccessSettings, RegistrySettings
from tools.access_table import access_page
from tools.asyncapi import document as asyncapi
from tools.catalogue import page as catalogue
from tools.catalogue.system import System

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
HEAD = "<!-- Written by `make reference` from the code. Do not edit. -->\n"
LIBRARY = (eventbus, eventbus.http, eventbus.http_client, eventbus.testing)
"""The modules that a service may import names from."""


def pages() -> dict[str, str]:
    """The text of each page, by its file name."""
    system = System.load()
    return {
        "library.md": library_page(),
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "catalogue.md": HEAD + catalogue.page(system),
        "asyncapi.json": asyncapi.text(system),
        "problems.md": problems_page(),
        "access.md": HEAD + access_page(),
    }


# The library


def library_page() -> str:
    """The public names of the library."""
    parts = [
        f"{HEAD}# The library's public names\n",
        "A service imports from these modules only. The [tutorial](../tutorial.md) shows most of them at work.\n",
    ]
    for module in LIBRARY:
        parts += [f"## {module.__name__}\n", f"{prose(inspect.getdoc(module))}\n"]
        parts += [described(name, getattr(module, name)) for name in public(module)]
    return "\n".join(parts)


def public(module: ModuleType) -> list[str]:
    """The names that a module offers: its ``__all__``, or what it defines itself."""
    named = getattr(module, "__all__", None)
    if named is None:
        named = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
            if inspect.isclass(value) or inspect.isfunction(value)
        ]
    return sorted(named, key=str.lower)


def described(name: str, value: Any) -> str:
    """One public name: a class with its fields and methods, a function, or a constant."""
    if inspect.isclass(value):
        lines = [f"### class `{name}`\n", f"{prose(inspect.getdoc(value))}\n", *members(value)]
        return "\n".join(lines)
    if inspect.isfunction(value):
        return f"### `{asynchronous(value)}{name}{signature(value)}`\n\n{prose(inspect.getdoc(value))}\n"
    return f"### `{name}`\n\nA constant or a type.\n"


def members(cls: type[Any]) -> Iterator[str]:
    """The fields of a dataclass or a struct with what stands below them, and the methods that have a docstring."""
    descriptions = {key: text for base in reversed(cls.__mro__) for key, text in below(base).items()}
    names = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    for name in [*names, *getattr(cls, "__struct_fields__", ())]:
        yield item(f"{name}: {annotation_of(cls, name)}", descriptions.get(name, ""))
    for name, value in vars(cls).items():
        if name.startswith("_") or name in getattr(cls, "__dataclass_fields__", {}):
            continue
        if isinstance(value, property) and value.__doc__:
            yield item(name, prose(inspect.getdoc(value)))
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(function) and function.__doc__:
            yield item(
                f"{asynchronous(function)}{name}{signature(function)}", prose(inspect.getdoc(function))
            )


def annotation_of(cls: type[Any], field: str) -> str:
    """The type of a field as it is written in the class that declares it."""
    written = (vars(base).get("__annotations__", {}) for base in cls.__mro__)
    return next(str(types[field]) for types in written if field in types)


def item(head: str, text: str) -> str:
    body = textwrap.indent(text.strip(), "  ").strip()
    return f"- `{head}`" + (f"  \n  {body}\n" if body else "\n")


def asynchronous(function: Any) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


def signature(function: Any) -> str:
    """The signature of a function, without ``self``, annotations as they are written."""
    parts, keyword_only = [], False
    found = inspect.signature(function)
    for name, parameter in found.parameters.items():
        if name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            parts.append("*")
        text = f"*{name}" if parameter.kind is parameter.VAR_POSITIONAL else name
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            shown = "…" if callable(parameter.default) else repr(parameter.default)
            text += f" = {shown}"
        parts.append(text)
    back = found.return_annotation
    return f"({', '.join(parts)})" + ("" if back is found.empty else f" -> {back}")


def below(cls: type[Any]) -> dict[str, str]:
    """The texts that stand below the attributes of a class, by attribute."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError):
        return {}
    found: dict[str, str] = {}
    name = ""
    for node in body.body if isinstance(body, ast.ClassDef) else []:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[name], name = prose(inspect.cleandoc(str(node.value.value))), ""
        else:
            name = ""
    return found


def prose(text: str | None) -> str:
    """A docstring as Markdown."""
    plain = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text or "")
    return re.sub(r"``([^`]*)``", r"`\1`", plain)


# Settings


def settings_page() -> str:
    """Every environment variable that a service or the simulator reads."""
    parts = [
        f"{HEAD}# Settings\n",
        "Environment variables, read once at the start. `make up` hands all of these on.\n",
    ]
    for cls in settings_classes():
        parts += [f"## {title(cls)}\n", f"{prose(inspect.getdoc(cls))}\n"]
        parts += ["| variable | default | meaning |", "|---|---|---|"]
        descriptions = below(cls)
        for name, field in cls.model_fields.items():
            meaning = descriptions.get(name) or prose(field.description)
            if not meaning:
                raise SystemExit(f"{cls.__module__}.{cls.__qualname__}.{name} needs a description")
            parts.append(f"| `{variable(cls, name)}` | {default(field.default)} | {cell(meaning)} |")
        parts.append("")
    return "\n".join(parts)


def settings_classes() -> list[type[BaseSettings]]:
    """The library's settings, then those of the services in the order of their modules."""
    modules = [importlib.import_module("eventbus.settings")]
    modules += [module for module in service_modules() if module.__name__.endswith(".settings")]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, BaseSettings) and value.__module__ == module.__name__
    ]


def service_modules() -> list[ModuleType]:
    """All modules of the services but their entry points, by name."""
    names = [info.name for info in pkgutil.walk_packages(services.__path__, "services.")]
    return [importlib.import_module(name) for name in sorted(names) if not name.endswith("__main__")]


def title(cls: type[BaseSettings]) -> str:
    module = cls.__module__
    if cls is AccessSettings:
        return "Every service: access control"
    if cls is RegistrySettings:
        return "Every service: a schema registry"
    return "Every service" if module.startswith("eventbus") else module.split(".")[-2].capitalize()


def variable(cls: type[BaseSettings], name: str) -> str:
    """The environment variable of a field."""
    alias = cls.model_fields[name].validation_alias
    return str(alias or f"{cls.model_config.get('env_prefix', '')}{name}".upper())


def default(value: Any) -> str:
    """A default as somebody would write it into the environment."""
    if value is None:
        return "unset"
    if hasattr(value, "total_seconds"):
        minutes = value.total_seconds() / 60
        return f"`{minutes:g}m`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


# Metrics


def metrics_page() -> str:
    """Every metric of the library and of the services."""
    parts = [
        f"{HEAD}# Metrics\n",
        "Each service shows them as Prometheus text at `/metrics`. What to do when one looks wrong: "
        "[operations](../operations.md#when-paged).\n",
        "| metric | kind | labels | what it says |",
        "|---|---|---|---|",
    ]
    for metric in metrics():
        name = metric._name + "_total" * (metric._type == "counter")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        parts.append(f"| `{name}` | {metric._type} | {labels} | {cell(metric._documentation)} |")
    return "\n".join(parts) + "\n"


def metrics() -> list[MetricWrapperBase]:
    """The metrics that the modules of the library and of the services hold, each once."""
    found = {
        id(value): value
        for module in (eventbus.metrics, *service_modules())
        for value in vars(module).values()
        if isinstance(value, MetricWrapperBase)
    }
    return list(found.values())


# Problems


def problems_page() -> str:
    """The pages that the services serve at ``/problems/<name>``, on one page."""
    parts = [
        f"{HEAD}# Problems\n",
        "What a service answers where it cannot do what was asked: `application/problem+json` (RFC 9457). Its `type` "
        "is the address of a page on the same service. Here are all of these pages, by status. `/openapi.json` of a "
        "service says which of its calls answers which.\n",
    ]
    types = {id(value): value for value in problem_types()}.values()
    parts += [page(one, level=2) for one in sorted(types, key=lambda one: (one.status, one.name))]
    return "\n".join(parts)


def problem_types() -> Iterator[ProblemType]:
    """Those of the library, and those of the services."""
    for module in (eventbus.http.problem_types, *service_modules()):
        yield from (value for value in vars(module).values() if isinstance(value, ProblemType))


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; 1 if one is out of date or cannot be made."""
    try:
        written = pages()
    except (ValueError, CommandError) as error:  # a schema, a schema package or the wiring of a service
        print(f"docs/reference cannot be written: {error}", file=sys.stderr)
        return 1
    if arguments == ["--check"]:
        old = [name for name, text in written.items() if _read(FOLDER / name) != text]
        for name in old:
            print(f"docs/reference/{name} is not what the code says: run `make reference`", file=sys.stderr)
        return 1 if old else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (FOLDER / name).write_text(text)
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
