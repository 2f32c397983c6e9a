"""Who may use which route: scopes, callers, and the table of what each route asks for."""

from eventbus.access.caller import ANONYMOUS, Caller, Scope
from eventbus.access.rules import OPEN, Rule, Rules

__all__ = ["ANONYMOUS", "OPEN", "Caller", "Rule", "Rules", "Scope"]
