"""What can go wrong, and what the caller can do about it.

.. code-block:: text

    CwAgentIamError
    ├── IntentError (also a ValueError)   the arguments break a rule of IAM; nothing was sent
    ├── ConflictError                     what exists stands in the way; it was left as it is
    │   └── KeyConflictError              ... it is access keys, or the one that the store holds
    ├── RequestError                      AWS refused a request, or gave no answer
    │   ├── ObserveError                  ... while reading
    │   └── ApplyError                    ... while applying: others may be done already
    ├── PropagationTimeoutError           AWS did not show in time what was applied, or its lists
    │                                     of access keys did not agree
    ├── StoreError                        a place for access keys cannot be read or written
    └── DeliveryError                     a key was made, or may have been, and does not serve

Every error carries its facts as attributes, and ``applied``: the changes that the failing call
had already made. Where AWS answered with an error, that error is the ``__cause__``. Calling again
after mending the cause goes on where the failing call stopped: there is nothing to undo first.
"""

from cwagent_iam.errors.facts import ChangeLike, Conflict, Difference, KeyLike, Problem
from cwagent_iam.errors.general import ConflictError, CwAgentIamError, IntentError
from cwagent_iam.errors.keys import DeliveryError, Fate, KeyConflictError, StoreError
from cwagent_iam.errors.requests import (
    ApplyError,
    ObserveError,
    PropagationTimeoutError,
    RequestError,
)

__all__ = [
    "ApplyError",
    "ChangeLike",
    "Conflict",
    "ConflictError",
    "CwAgentIamError",
    "DeliveryError",
    "Difference",
    "Fate",
    "IntentError",
    "KeyConflictError",
    "KeyLike",
    "ObserveError",
    "Problem",
    "PropagationTimeoutError",
    "RequestError",
    "StoreError",
]
