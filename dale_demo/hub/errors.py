"""Every way in which the Hub's client fails, and the one plain sentence said of it."""

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
from dale_demo.hub.bounded_cache import FullError
from dale_demo.hub.idle_timeout import SilenceError
from dale_demo.hub.names import HubError, HubName, UnreachableError


class Case(NamedTuple):
    """What the client may raise, and what is said of it.

    Args:
        raised: Exceptions of the client.
        kind: What becomes of it.
        sentence: With the places `name`, `repo_id`, `revision`, `endpoint`, `status`, `reason`.
        statuses: HTTP statuses that it is limited to; empty for all.
    """

    raised: tuple[type[Exception], ...]
    kind: type[HubError]
    sentence: str
    statuses: range = range(0)


NOT_A_HUB = "What answers at {endpoint} is not a Hub."
CASES = (
    Case((SilenceError,), UnreachableError, "The Hub does not answer."),
    Case((OfflineModeIsEnabled,), UnreachableError, "The Hub is switched off by HF_HUB_OFFLINE."),
    Case(
        (GatedRepoError,),
        HubError,
        "{repo_id} is gated: accept its terms at {endpoint}/{repo_id} and use a token.",
    ),
    Case((RevisionNotFoundError,), HubError, "{repo_id} has no revision {revision}."),
    Case(
        (RepositoryNotFoundError,),
        HubError,
        "The Hub shows no repository {repo_id}: it does not exist, or it is private.",
    ),
    Case((DisabledRepoError,), HubError, "The Hub has disabled {repo_id}."),
    Case(
        (HfHubHTTPError,),
        UnreachableError,
        "The Hub has had too many requests from here; try again in some minutes.",
        range(429, 430),
    ),
    Case(
        (HfHubHTTPError,),
        HubError,
        "The Hub asks for a paid plan before it does that for {repo_id}.",
        range(402, 403),
    ),
    Case(
        (HfHubHTTPError,),
        HubError,
        "The Hub refuses {repo_id}: log in with `hf auth login`, or use a token that may do this.",
        range(401, 404),
    ),
    Case(
        (HfHubHTTPError,),
        UnreachableError,
        "The Hub has trouble of its own (HTTP {status}); try again later.",
        range(500, 600),
    ),
    Case((LocalEntryNotFoundError,), UnreachableError, "The Hub broke off before {name} was here."),
    Case((EntryNotFoundError,), HubError, "A file of {repo_id} vanished while it was fetched."),
    Case((BadRequestError,), HubError, "The Hub does not understand the request: {reason}."),
    Case((HfHubHTTPError,), UnreachableError, NOT_A_HUB),
    Case((HTTPError, ConnectionError), UnreachableError, "The Hub cannot be reached."),
    Case((FullError,), HubError, "There is no room for {name} just now; try again in a minute."),
    Case((FileNotFoundError,), HubError, "{name} was taken away while it was fetched; try again."),
    Case((OSError,), HubError, "{name} did not arrive whole: {reason}."),
    Case((json.JSONDecodeError, TypeError, LookupError), UnreachableError, NOT_A_HUB),
    Case((ValueError,), HubError, "The Hub's client refuses {name}: {reason}."),
)
"""The first that fits holds, so what is special stands before what is general."""


def translate(error: Exception, name: HubName) -> Exception:
    """The error in our words; an error that is no case, or has our words already, as it is."""
    if isinstance(error, CheckpointError):
        return error
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    for case in CASES:
        if isinstance(error, case.raised) and (not case.statuses or status in case.statuses):
            sentence = case.sentence.format(
                name=name,
                repo_id=name.repo_id,
                revision=name.revision,
                endpoint=constants.ENDPOINT,
                status=status,
                reason=one_line(error),
            )
            return case.kind(sentence)
    return error
