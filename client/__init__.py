"""The client of a running service. It needs neither torch nor any part of the service."""

from flawsmith.client.clients import AsyncClient, Client
from flawsmith.client.errors import FlawsmithError, JobCancelled, JobFailed, NoAnswer, Problem
from flawsmith.client.images import Image, Images
from flawsmith.client.records import (
    Comparison,
    Dataset,
    Event,
    Job,
    Model,
    TrainingPlan,
    Verdict,
    Version,
    Webhook,
    WebhookMessage,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Comparison",
    "Dataset",
    "Event",
    "FlawsmithError",
    "Image",
    "Images",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Model",
    "NoAnswer",
    "Problem",
    "TrainingPlan",
    "Verdict",
    "Version",
    "Webhook",
    "WebhookMessage",
]
