"""Does what a ChangeSet says: one request of IAM for each change, and nothing else.

There is no decision here. Which error may be waited for or passed over is a matter of the table
in `cwagent_iam.propagation`; what to do was decided by the differ.
"""

from cwagent_iam.executor.applying import apply, apply_in

__all__ = ["apply", "apply_in"]
