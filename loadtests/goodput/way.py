"""What does one applicant send, and what does it make of the answers? Its whole way, as the page goes it.

Join, look at the place until called, claim, fetch the form, fill it in, register, look at the receipt.
Some do not behave: they ignore Retry-After, hang up and send again, or drip their bytes.
"""

from collections.abc import Generator
from enum import Enum
from random import Random
from typing import NamedTuple, Protocol

from loadtests.system import WAVE

API = f"/v1/waves/{WAVE}"
HASTY_SHARE, FLIGHTY_SHARE, SLOW_SHARE = 0.10, 0.05, 0.01  # of all applicants
HASTY_TRIES = 3  # at once, then even they wait
DRIP_S = 0.3  # a slow sender takes for one request; its own time, not the server's
RECONNECT_S = 0.02  # between hanging up and sending again
FORM_S = (0.2, 0.8)  # to fill it in: minutes in life; here it only has to separate the steps
JITTER = (0.85, 1.15)  # the page's
PATIENCE = 5  # refusals of one step that an applicant takes

_BROWSER = (
    b"User-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/126.0.0.0 Mobile Safari/537.36\r\n"
    b"Accept: application/json\r\nAccept-Language: id\r\nAccept-Encoding: gzip, deflate, br\r\n"
    b"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
)


class Manner(Enum):
    """How a request is sent."""

    WHOLE = "whole"
    DRIPPED = "dripped"
    ABANDONED = "abandoned"  # and the connection closed, before any answer


class Habit(Enum):
    """What sets an applicant apart."""

    OBEYING = "obeying"
    HASTY = "hasty"
    FLIGHTY = "flighty"
    SLOW = "slow"


class Ask(NamedTuple):
    """Send this."""

    name: str  # of the step, for statistics
    data: bytes
    manner: Manner


class Answer(NamedTuple):
    """What came of it. Instants are seconds of one monotonic clock."""

    status: int  # 0: nothing came in time
    body: bytes
    due_s: float  # when it was to be sent
    at_s: float


class Witness(Protocol):
    """Who is told what became of an applicant."""

    def registered(self, due_s: float, at_s: float) -> None:
        """Its registration was acknowledged; ``due_s`` is when it was first to be sent."""

    def ended(self, how: str) -> None:
        """Its way ended short of that."""


Way = Generator[Ask | float, Answer, None]  # a float: seconds to wait


class _TurnedAwayError(Exception):
    """The applicant gets no further."""


def habit_of(dice: Random) -> Habit:
    """Draw an applicant's habit."""
    throw = dice.random()
    for habit, share in (
        (Habit.HASTY, HASTY_SHARE),
        (Habit.FLIGHTY, FLIGHTY_SHARE),
        (Habit.SLOW, SLOW_SHARE),
    ):
        if throw < share:
            return habit
        throw -= share
    return Habit.OBEYING


def way(form: bytes, dice: Random, witness: Witness) -> Way:
    """Lead one applicant to its receipt, or as far as it comes."""
    try:
        yield from _Applicant(dice).lead(form, witness)
    except _TurnedAwayError as away:
        witness.ended(str(away))


class _Applicant:
    __slots__ = ("_cookies", "_dice", "_habit")

    def __init__(self, dice: Random) -> None:
        self._dice, self._habit = dice, habit_of(dice)
        self._cookies = b""

    def lead(self, form: bytes, witness: Witness) -> Way:
        dice = self._dice
        joined = yield from self._insist("join", b"POST", API + "/tickets", patience=0)
        self._cookies = b"ticket.%b=%b" % (WAVE.encode(), _text(joined, b"ticket"))
        while True:
            place = yield from self._insist("place", b"GET", API + "/place")
            if _text(place, b"state") == b"called":
                claimed = yield from self._insist("claim", b"POST", API + "/pass")
                if claimed.status != 202:
                    break
                yield _number(claimed, b"retry_in_ms") / 1000 * dice.uniform(*JITTER)
            else:
                yield _number(place, b"poll_s") * dice.uniform(*JITTER)
        self._cookies += b"; pass.%b=%b" % (WAVE.encode(), _text(claimed, b"pass"))
        yield from self._insist("form", b"GET", API + "/form")
        yield dice.uniform(*FORM_S)
        registered = yield from self._insist("registration", b"POST", API + "/registrations", form)
        witness.registered(registered.due_s, registered.at_s)
        receipt = _text(registered, b"receipt").decode()
        yield from self._insist("receipt", b"GET", f"/v1/registrations/{receipt}")

    def _insist(
        self, name: str, method: bytes, path: str, body: bytes = b"", patience: int = PATIENCE
    ) -> Generator[Ask | float, Answer, Answer]:
        """Ask until there is an answer; what it says of time is counted from the first try.

        Who is refused at the door, and waits as told, is gone: it comes back as one of those who arrive.
        """
        data = request(method, path, self._cookies, body)
        is_slow = self._habit is Habit.SLOW
        manner, own_s = (Manner.DRIPPED, DRIP_S) if is_slow else (Manner.WHOLE, 0.0)
        if self._habit is Habit.FLIGHTY:
            yield Ask(name, data, Manner.ABANDONED)
            yield RECONNECT_S
        hasty = HASTY_TRIES if self._habit is Habit.HASTY else 0
        due_s = 0.0
        for refusals in range(hasty + patience + 1):
            answer = yield Ask(name, data, manner)
            due_s = due_s or answer.due_s + own_s
            if answer.status != 503:
                break
            if refusals >= hasty:
                if refusals == hasty + patience:
                    raise _TurnedAwayError(f"{name} refused")
                yield _number(answer, b"retry_in_ms") / 1000
        if answer.status not in {200, 201, 202}:
            raise _TurnedAwayError(f"{name} {answer.status or 'lost'}")
        return answer._replace(due_s=due_s)


def request(method: bytes, path: str, cookies: bytes = b"", body: bytes = b"") -> bytes:
    """Return a request as a browser sends it."""
    head = b"%b %b HTTP/1.1\r\nHost: 127.0.0.1\r\n%b" % (method, path.encode(), _BROWSER)
    if cookies:
        head += b"Cookie: %b\r\n" % cookies
    if body:
        head += b"Content-Type: application/json\r\n"
    if method == b"POST":
        head += b"Content-Length: %d\r\n" % len(body)
    return b"%b\r\n%b" % (head, body)


def _text(answer: Answer, name: bytes) -> bytes:
    """Return a member that is text. Cut out, not parsed: a whole parser would cost the client more."""
    return answer.body.partition(b'"%b":"' % name)[2].partition(b'"')[0]


def _number(answer: Answer, name: bytes) -> float:
    digits = answer.body.partition(b'"%b":' % name)[2]
    return float(digits.partition(b",")[0].partition(b"}")[0])
