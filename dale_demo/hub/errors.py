"""Translate the errors of the Hub's client into one plain sentence each."""

import json
from typing import NamedTuple

from huggingface_hub import constants
from huggingface_hub.errors import (
    BadRequestError,
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from dale_demo.checkpoint.files import CheckpointError, one_line
from dale_demo.hub.bounded_cache import CacheFullError
from dale_demo.hub.idle_timeout import IdleTimeoutError
from dale_demo.hub.names import HubError, HubName, NotStoredError, UnreachableError


class Case(NamedTuple):
    """Exceptions of the client, and the error that takes their place.

    Args:
        raised: Exceptions of the client.
        kind: Class of our error.
        sentence: Its message; may contain `{name}`, `{repo_id}`, `{revision}`, `{endpoint}`,
            `{status}` and `{reason}`.
        statuses: HTTP statuses that the case is limited to; empty for all.
    """

    raised: tuple[type[Exception], ...]
    kind: type[HubError]
    sentence: str
    statuses: range = range(0)


NOT_A_HUB = "The server at {endpoint} is not a Hub."
CASES = (
    Case((IdleTimeoutError,), UnreachableError, "The Hub does not answer."),
    Case((OfflineModeIsEnabled,), UnreachableError, "HF_HUB_OFFLINE turns access to the Hub off."),
    Case(
        (GatedRepoError,),
        HubError,
        "{repo_id} is gated: accept its terms at {endpoint}/{repo_id} and use a token.",
    ),
    Case((RevisionNotFoundError,), HubError, "{repo_id} has no revision {revision}."),
    Case(
        (RepositoryNotFoundError,),
        HubError,
        "The Hub has no repository {repo_id}, or it is private.",
    ),
    Case((DisabledRepoError,), HubError, "The Hub has disabled {repo_id}."),
    Case(
        (HfHubHTTPError,),
        UnreachableError,
        "The Hub has had too many requests from this address; try again in a few minutes.",
        range(429, 430),
    ),
    Case(
        (HfHubHTTPError,),
        HubError,
        "The Hub requires a paid plan to do that for {repo_id}.",
        range(402, 403),
    ),
    Case(
        (HfHubHTTPError,),
        HubError,
        "The Hub denies access to {repo_id}: log in with `hf auth login`, or use a token that "
        "grants it.",
        range(401, 404),
    ),
    Case(
        (HfHubHTTPError,),
        UnreachableError,
        "The Hub reports a server error (HTTP {status}); try again later.",
        range(500, 600),
    ),
    Case((LocalEntryNotFoundError,), UnreachableError, "The Hub stopped before {name} was here."),
    Case((EntryNotFoundError,), HubError, "A file of {repo_id} was removed during the download."),
    Case((BadRequestError,), HubError, "The Hub rejects the request: {reason}."),
    Case((HfHubHTTPError,), UnreachableError, NOT_A_HUB),
    Case((HTTPError, ConnectionError), UnreachableError, "The Hub cannot be reached."),
    Case(
        (CacheFullError,),
        NotStoredError,
        "The cache has no room for {name} now; try again in a minute.",
    ),
    Case((FileNotFoundError,), HubError, "{name} was removed from the cache meanwhile; try again."),
    Case((OSError,), NotStoredError, "{name} was not transferred completely: {reason}."),
    Case(
        (
            *(AssertionError, AttributeError, json.JSONDecodeError, LookupError),
            *(RecursionError, TypeError),
        ),
        UnreachableError,
        NOT_A_HUB,
    ),
    Case((ImportError, ValueError), HubError, "The Hub's client rejects {name}: {reason}."),
)
"""The first case that matches is used, so special cases come before general ones."""


def translate(error: Exception, name: HubName) -> Exception:
    """Translate an error by `CASES`; return one of our own, or one that has no case, unchanged."""
    if isinstance(error, CheckpointError):
        return error
    if type(error) is RuntimeError and isinstance(error.__cause__, Exception):
        return translate(error.__cause__, name)  # the client says so only that an upload failed
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    for case in CASES:
        if isinstance(error, case.raised) and (not case.statuses or status in case.statuses):
            sentence = case.sentence.format(
                name=name,
                repo_id=name.repo_id,
                revision=name.revision,
                endpoint=constants.ENDPOINT,
                status=status,
                reason=_reason(error),
            )
            return case.kind(sentence)
    return error


def _reason(error: Exception) -> str:
    """What went wrong, without the path of a file on this machine, which visitors need not know."""
    return getattr(error, "strerror", None) or one_line(error)
