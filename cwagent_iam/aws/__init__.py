"""The border to boto3: clients, the sender that calls them, and outcomes of botocore's errors."""

from cwagent_iam.aws.clients import AWSSession, Clients, IAMClient, STSClient

__all__ = ["AWSSession", "Clients", "IAMClient", "STSClient"]
