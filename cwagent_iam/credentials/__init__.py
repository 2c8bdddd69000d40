"""Access keys with their secrets, and the places that these may go."""

from cwagent_iam.credentials.common_config import CommonConfig
from cwagent_iam.credentials.parameter_store import ParameterStoreSecret
from cwagent_iam.credentials.rotating import RotationStatus, rotate_access_key
from cwagent_iam.credentials.secret import NewAccessKey, SecretAccessKey
from cwagent_iam.credentials.secrets_manager import SecretsManagerSecret
from cwagent_iam.credentials.shared_file import SharedCredentialsFile
from cwagent_iam.credentials.store import Companion, KeyStore

__all__ = [
    "CommonConfig",
    "Companion",
    "KeyStore",
    "NewAccessKey",
    "ParameterStoreSecret",
    "RotationStatus",
    "SecretAccessKey",
    "SecretsManagerSecret",
    "SharedCredentialsFile",
    "rotate_access_key",
]
