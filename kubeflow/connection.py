"""What every request to Kubeflow Pipelines needs: an end in time, and errors that are one line."""

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
    """The server refused, or couldn't be asked; the message is one line.

    Attributes:
      status: of HTTP; 0 if there was no answer, or one that isn't the API's.
      passing: whether it may well be gone in a minute.
    """

    def __init__(self, message: str, status: int = 0, passing: bool = False) -> None:
        super().__init__(message)
        self.status, self.passing = status, passing


class _NoJsonError(Exception):
    """An answer that the API can't have given."""


@contextlib.contextmanager
def asked(host: str, what: str, has_token: bool) -> Iterator[None]:
    """Has errors of kfp.Client, and of what is below it, come as ServerError, and keeps what it prints to itself.

    Args:
      host: whom is asked.
      what: for the message.
      has_token: whether a token is sent.

    Raises:
      ServerError: instead of theirs.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # kfp.Client prints links
            yield
    except kfp_server_api.ApiException as error:
        raise _refusal(host, what, has_token, error) from None
    except _NoJsonError:
        raise ServerError(
            f"{host}: doesn't answer as Kubeflow Pipelines' API; if that is its user interface, its path may be "
            "missing, such as /pipeline; if it is a login page, a token, in KFP_TOKEN"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise ServerError(f"{host}: {_cause(error)}", passing=True) from None


def _refusal(host: str, what: str, has_token: bool, error: kfp_server_api.ApiException) -> ServerError:
    if error.status == 401:
        told = "the token in KFP_TOKEN is refused" if has_token else "a token is asked for: set KFP_TOKEN"
        return ServerError(f"{host}: {told} (401)", 401)
    told = _told(error.body) or error.reason or "no reason given"
    if error.status == 403:
        return ServerError(f"{host}: {what} is not allowed (403): {told}", 403)
    return ServerError(f"{host}: {what}: {told} ({error.status})", error.status, passing=error.status >= 500)


def limit(rest_client: Any) -> None:
    """Has every request come to an end, and nothing but the API's JSON taken for an answer.

    kfp.Client passes no time-out on, so that urllib3 waits for ever; and takes a login page for an empty list.
    """
    request: Callable[..., Any] = rest_client.request

    def limited(*args: Any, **kwargs: Any) -> Any:
        kwargs["_request_timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        try:
            response = request(*args, **kwargs)
        except kfp_server_api.ApiException as error:
            error.body = (error.body or b"").decode(errors="replace").encode()  # its caller decodes it, come what may
            raise
        try:
            if not isinstance(json.loads(response.data or "{}"), dict):
                raise _NoJsonError
        except ValueError:
            raise _NoJsonError from None
        return response

    rest_client.request = limited
    # What isn't named is tried ten times: a certificate that isn't trusted, with pauses, for six minutes.
    rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(
        connect=2, read=0, redirect=5, status=0, other=0, backoff_factor=0.5, respect_retry_after_header=False
    )


def _cause(error: BaseException) -> str:
    """What a person can understand of urllib3's errors, which wrap each other."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, BaseException) else error
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {READ_SECONDS} s"
    new = isinstance(cause, urllib3.exceptions.NewConnectionError)  # a kind of the next, though no time-out
    if isinstance(cause, urllib3.exceptions.ConnectTimeoutError) and not new:
        return f"no connection within {CONNECT_SECONDS} s"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"no secure connection: {_line(str(cause))}; --ca-certificate names a private authority's file"
    return f"can't be reached: {_line(str(cause)).rpartition('): ')[2]}"


def _told(body: str | None) -> str:
    """The server's message: its gateway and its uploads have different ones."""
    try:
        answer = json.loads(body or "")
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    return _line(next((str(answer[key]) for key in ("message", "error", "error_message") if answer.get(key)), ""))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
