"""Every change that this library can ever make. What is not here, it cannot do."""

from __future__ import annotations

from typing import TypeAlias

from cwagent_iam.changes.instance_profiles import InstanceProfileChange
from cwagent_iam.changes.roles import RoleChange
from cwagent_iam.changes.users import UserChange

Change: TypeAlias = RoleChange | UserChange | InstanceProfileChange
"""The closed list of changes, so that a forgotten case is a type error."""
