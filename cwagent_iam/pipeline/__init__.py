"""The stages joined: preview, ensure, remove.

.. code-block:: text

    intent ──plan──▶ desired ─┐
    (arguments)               ├─diff──▶ changes ──apply──▶ result
    IAM ───observe─▶ observed ┘

`ensure` is all of it, and then observes again until the diff is empty. The split costs a second
look at what was just written; it buys that a plan can be read before anything happens, that all
decisions can be tested without AWS, and that calling again is always right: each call acts on
what is there, never on what an earlier call believed.
"""

from cwagent_iam.pipeline.agent import ensure_agent_role, ensure_agent_user
from cwagent_iam.pipeline.stages import ensure, preview, remove

__all__ = ["ensure", "ensure_agent_role", "ensure_agent_user", "preview", "remove"]
