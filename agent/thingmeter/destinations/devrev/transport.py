"""Posts usage records to DevRev over HTTPS, and reads from the answer what became of them.

    2xx                        accepted
    400, 409, 413, 422         Rejected: these records, in DevRev's words
    401, 403                   Denied: the token; a new one in its file is used by the next attempt
    429                        Throttled: everybody with this token waits
    408, 5xx, no whole answer  Unanswered: they may be stored
    anything else              Unreachable: certainly not taken; a page for a browser is no answer of DevRev's at all

Source: DevRev's beta API reference, ``metrics.devrev.ingest``: 200, 400, 401, 403, 429, 500 and 503; the rest is what
servers and proxies in between say. An answer has no verdict on single records: a request is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from thingmeter.config.settings import DevRev
from thingmeter.destinations.abandonable import AbandonableCall
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.answers import is_page, said, wait_s
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.destinations.devrev.token import read_token
from thingmeter.destinations.https import Answer, Https, Request
from thingmeter.errors import Denied, Rejected, Throttled, Unanswered, Unreachable
from thingmeter.protocols import Clock

CALL = "metrics.devrev.ingest"
REFUSED_FOR_GOOD = frozenset({400, 409, 413, 422})
TOO_LARGE = 413  # true whoever says it, a proxy included


class UsageTransport:
    """One request in flight at a time; a ``protocols.Transport``.

    Args:
        account: where to, and the token.
        pause: shared by all who use the token.
        clock: for dates in answers.
    """

    def __init__(self, account: Account, pause: Pause, clock: Clock) -> None:
        self._account = account
        self._pause = pause
        self._clock = clock
        self._call = AbandonableCall()
        self._line: _Line | None = None

    def send(self, payload: bytes, *, key: str, timeout_s: float) -> None:  # noqa: ARG002  # ids stand in the payload
        """Return once DevRev has accepted all records in ``payload``; blocks at most about ``timeout_s``.

        Raises:
            Rejected: at least one of the records is refused for good.
            Denied: the token is refused, or there is none.
            Throttled: everybody with this token is asked to wait.
            Unanswered: the records may have been taken.
            Unreachable: certainly not taken.
        """
        if (left_s := self._pause.wait_s()) > 0:
            raise Throttled("DevRev has asked everybody with this token to wait", after_s=left_s)
        request = self._request(payload)
        line = self._line
        if line is None or line.timeout_s != timeout_s:
            self._hang_up()
            line = self._line = _Line(self._account.ca_file, timeout_s)
        try:
            answer = line.ask(request, self._call)
        except BaseException:
            self._hang_up()  # a call left behind still uses it
            raise
        self._judge(answer)

    def hold_s(self) -> float:
        """Return the seconds for which everybody with this token is asked to wait."""
        return self._pause.wait_s()

    def close(self) -> None:
        """End the ``send`` in progress, if there is one."""
        self._call.close()
        self._hang_up()

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _request(self, payload: bytes) -> Request:
        headers = {
            "authorization": f"{self._account.scheme} {read_token(self._account.token_file)}".lstrip(),
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": "thingmeter",
            "x-devrev-scope": "beta",
        }
        return Request("POST", f"{self._account.endpoint_url}/{CALL}", headers, payload)

    def _judge(self, answer: Answer) -> None:
        """Raise what an answer amounts to, unless it is a success."""
        status, words = answer.status, f"DevRev answered {CALL} with {said(answer)}"
        page = is_page(answer) and bool(answer.body.strip())
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Throttled(words, after_s=self._pause.ask(wait_s(answer, self._clock.now())))
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if "retry-after" in answer.headers:
                self._pause.ask(wait_s(answer, self._clock.now()))
            raise Unanswered(words)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            if page:
                raise Unanswered(f"{words}, but with a web page: is that a proxy in front of DevRev?")
            return
        if status == TOO_LARGE or (status in REFUSED_FOR_GOOD and not page):
            raise Rejected(words)
        self._raise_kept(status, words, page=page)

    def _raise_kept(self, status: int, words: str, *, page: bool) -> None:
        where, file = self._account.endpoint_url, f"{self._account.token_file} ([devrev] token_file)"
        if status < HTTPStatus.BAD_REQUEST:
            raise Unreachable(f"{where} redirects {CALL} ({status}): is it DevRev's API, is a proxy in between?")
        if page or status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise Unreachable(f"{words}: that is a proxy or another server in front of {where}, not DevRev itself")
        if status == HTTPStatus.UNAUTHORIZED:
            raise Denied(f"{words}: the token in {file} is expired or wrong, put a valid one there")
        if status == HTTPStatus.FORBIDDEN:
            raise Denied(f"{words}: the token in {file} needs the right to this call")
        raise Unreachable(f"{words}: is {where} DevRev's API?")


class _Line:
    """Kept connections to DevRev with one time limit; closed once the last call on it has ended."""

    def __init__(self, ca_file: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._https = Https(ca_file=ca_file, timeout_s=timeout_s)
        self._busy = False
        self._closed = False

    def ask(self, request: Request, call: AbandonableCall) -> Answer:
        """Return the answer to ``request``."""
        answers: list[Answer] = []
        call.run(self._exchange(request, answers), timeout_s=self.timeout_s)
        return answers[0]

    def close(self) -> None:
        """Close the connections: now, or when the call that was left behind ends."""
        self._closed = True
        if not self._busy:
            self._https.close()

    def _exchange(self, request: Request, answers: list[Answer]) -> Callable[[], None]:
        def exchange() -> None:
            self._busy = True
            try:
                answers.append(self._https.exchange(request))
            finally:
                self._busy = False
                if self._closed:
                    self._https.close()

        return exchange


def account_for(settings: DevRev) -> Account:
    """Return where usage goes, whether or not UOMs are registered from here."""
    return Account(settings.endpoint_url.rstrip("/"), settings.token_file, settings.scheme, settings.ca_file)
