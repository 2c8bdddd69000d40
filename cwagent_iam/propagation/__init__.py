"""What is written but not yet visible: one table of rules, and the waiting.

IAM is eventually consistent: what one host has stored, another may deny for seconds. The codes
that say so are the very codes of honest mistakes, so what counts is what this run did: a miss
about something that it made is a matter of time, any other miss is final.
"""

from cwagent_iam.propagation.rules import (
    FINAL,
    RULES,
    TROUBLES,
    Outcome,
    Rule,
    rule_for,
    rule_for_trouble,
)
from cwagent_iam.propagation.run import Run
from cwagent_iam.propagation.waiting import (
    DENSE,
    FAILURE,
    GOOD_LOOKS,
    RIVALS,
    SLOW,
    THROTTLE,
    Pace,
    Propagation,
)

__all__ = [
    "DENSE",
    "FAILURE",
    "FINAL",
    "GOOD_LOOKS",
    "RIVALS",
    "RULES",
    "SLOW",
    "THROTTLE",
    "TROUBLES",
    "Outcome",
    "Pace",
    "Propagation",
    "Rule",
    "Run",
    "rule_for",
    "rule_for_trouble",
]
