"""Intent to desired state. Pure: the same arguments always give the same, equal state.

All arguments are checked here, whole and before any call: whatever these functions return, IAM
accepts, as far as that can be known without asking it.
"""

from cwagent_iam.planners.checking import PolicyLike
from cwagent_iam.planners.roles import plan_admin_role, plan_agent_role, plan_ecs_execution_role
from cwagent_iam.planners.users import plan_admin_user, plan_agent_user

__all__ = [
    "PolicyLike",
    "plan_admin_role",
    "plan_admin_user",
    "plan_agent_role",
    "plan_agent_user",
    "plan_ecs_execution_role",
]
