"""An IAM that lags, throttles and loses replies."""

from cwagent_iam.testing.lagging.faults import Fault
from cwagent_iam.testing.lagging.profiles import Profile
from cwagent_iam.testing.lagging.simulator import LaggyIAM, laggy_iam
from cwagent_iam.testing.lagging.wire import Crash

__all__ = ["Crash", "Fault", "LaggyIAM", "Profile", "laggy_iam"]
