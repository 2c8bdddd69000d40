"""The executor: performs the effects of the core's generators, and decides nothing."""

from cwagent_iam.executor.driver import Executor as Executor
