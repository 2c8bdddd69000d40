"""Access keys with their secrets, and the places that these may go."""

from cwagent_iam.credentials.common_config import CommonConfig as CommonConfig
from cwagent_iam.credentials.parameter_store import ParameterStoreSecret as ParameterStoreSecret
from cwagent_iam.credentials.rotating import (
    RotationStatus as RotationStatus,
    rotate_access_key as rotate_access_key,
)
from cwagent_iam.credentials.secret import (
    NewAccessKey as NewAccessKey,
    SecretAccessKey as SecretAccessKey,
)
from cwagent_iam.credentials.secrets_manager import SecretsManagerSecret as SecretsManagerSecret
from cwagent_iam.credentials.shared_file import SharedCredentialsFile as SharedCredentialsFile
from cwagent_iam.credentials.store import Companion as Companion, KeyStore as KeyStore
