"""An IAM that lags, throttles and loses replies."""

from cwagent_iam.testing.lagging.faults import Crash, Fault
from cwagent_iam.testing.lagging.profiles import Profile
from cwagent_iam.testing.lagging.simulator import LaggyIAM, laggy_iam

__all__ = ["Crash", "Fault", "LaggyIAM", "Profile", "laggy_iam"]
