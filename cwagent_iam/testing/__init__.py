"""Testing: an AWS in memory, with the AWS-managed policies that the agent needs.

.. code-block:: python

    from cwagent_iam import ensure_agent_role
    from cwagent_iam.testing import sandbox, strict_iam

    with sandbox() as session:
        ensure_agent_role("CloudWatchAgentServerRole", session=session)

    with sandbox() as session, strict_iam():  # refuses what AWS refuses and moto accepts
        ensure_agent_role("CloudWatchAgentServerRole", session=session)
"""

from cwagent_iam.testing.aws_in_memory import sandbox
from cwagent_iam.testing.lagging import Crash, Fault, LaggyIAM, Profile, laggy_iam
from cwagent_iam.testing.strict import strict_iam

__all__ = ["Crash", "Fault", "LaggyIAM", "Profile", "laggy_iam", "sandbox", "strict_iam"]
