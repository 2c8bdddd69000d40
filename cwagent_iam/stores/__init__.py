"""Stores: the places that an access key can be delivered to."""

from cwagent_iam.stores.common_config import CommonConfig
from cwagent_iam.stores.services import ParameterStoreSecret, SecretsManagerSecret
from cwagent_iam.stores.shared_file import SharedCredentialsFile

__all__ = [
    "CommonConfig",
    "ParameterStoreSecret",
    "SecretsManagerSecret",
    "SharedCredentialsFile",
]
