"""Timeouts for every request to Kubeflow Pipelines, and errors of one line."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import kfp_server_api
import urllib3

CONNECT_SECONDS, READ_SECONDS = 10, 60


class ServerError(Exception):
    """A request to the server failed; the message is one line.

    Attributes:
      status: the HTTP status; 0 if there was no answer, or an answer that is not the API's.
      temporary: whether the same request may succeed a minute later.
      reason: the server's own words; empty if it has sent none.
    """

    def __init__(self, message: str, status: int = 0, temporary: bool = False, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.temporary, self.reason = status, temporary, reason


class _NoJsonError(Exception):
    """An answer that is not the API's."""


@contextlib.contextmanager
def request(host: str, what: str, has_token: bool) -> Iterator[None]:
    """Turns errors of kfp.Client, and of the libraries below it, into ServerError, and hides what they print.

    Args:
      host: address of the server.
      what: the request in words, for the message.
      has_token: whether a token is sent.

    Raises:
      ServerError: if the request fails.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # kfp.Client prints links
            yield
    except kfp_server_api.ApiException as error:
        raise refusal(host, what, has_token, error.status, error.body, error.reason) from None
    except _NoJsonError:
        raise ServerError(
            f"{host}: not an answer of Kubeflow Pipelines' API; if this is its user interface, add its path, such as "
            "/pipeline; if this is a login page, set KFP_TOKEN to a token"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise ServerError(f"{host}: {what}: {_cause(error)}", temporary=True) from None


def refusal(
    host: str, what: str, has_token: bool, status: int, body: str | bytes | None, reason: str | None = None
) -> ServerError:
    """The error for an answer with another HTTP status than 200.

    Args:
      host: see `request`.
      what: see `request`.
      has_token: see `request`.
      status: of the answer.
      body: of the answer, perhaps JSON with a message.
      reason: what the status means, if the body says nothing.
    """
    if status == 401:
        reason = "the server refused the token in KFP_TOKEN" if has_token else "a token is required; set KFP_TOKEN"
        return ServerError(f"{host}: {reason} (401)", 401)
    reason = _message(body) or reason or "the server gave no reason"
    if status == 403:
        return ServerError(f"{host}: {what} is not allowed (403): {reason}", 403)
    return ServerError(f"{host}: {what}: {reason} ({status})", status, status >= 500, _message(body))


def limit(rest_client: Any) -> None:
    """Gives every request a timeout, and accepts only JSON as an answer.

    kfp.Client sets no timeout, so urllib3 would wait without end. It also reads a login page as an empty list.
    """
    original: Callable[..., Any] = rest_client.request

    def limited(*args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        try:
            response = original(*args, **kwargs)
        except kfp_server_api.ApiException as error:
            error.body = (error.body or b"").decode(errors="replace").encode()  # kfp decodes it strictly
            raise
        try:
            if not isinstance(json.loads(response.data or "{}"), dict):
                raise _NoJsonError
        except ValueError:
            raise _NoJsonError from None
        return response

    rest_client.request = limited
    # urllib3 retries ten times where no number is given: six minutes for a certificate that is not trusted.
    rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(
        connect=2, read=0, redirect=5, status=0, other=0, backoff_factor=0.5, respect_retry_after_header=False
    )


def _cause(error: BaseException) -> str:
    """The cause, for a person: urllib3's errors wrap each other."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, BaseException) else error
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {READ_SECONDS} s"
    new = isinstance(cause, urllib3.exceptions.NewConnectionError)  # a subclass of the next, but not a timeout
    if isinstance(cause, urllib3.exceptions.ConnectTimeoutError) and not new:
        return f"no connection within {CONNECT_SECONDS} s"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return (
            f"no secure connection: {_line(str(cause))}; for a private authority, name its file with --ca-certificate"
        )
    return f"cannot be reached: {_line(str(cause)).rpartition('): ')[2]}"


def _message(body: str | bytes | None) -> str:
    """The server's message; the key depends on the part of the server that answers."""
    try:
        answer = json.loads(body or "")
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    return _line(next((str(answer[key]) for key in ("message", "error", "error_message") if answer.get(key)), ""))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
