"""``omnidrop stream``: publish a source, ask aloud or in writing, and print what happens.

Exit status: 0 answered (or played to the end), 2 usage, 3 source, 4 refused, 5 no connection, 6 no answer,
130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus

from clients.python.conversation import Conversation
from clients.python.errors import ClientError, NoAnswer, ServerProblem
from clients.python.http import Api
from clients.python.playback import Playback
from clients.python.programme import Programme
from clients.python.publisher import Publisher
from clients.python.soundtrack import Speech
from clients.python.source import Source, read_sound
from clients.python.subscription import Event, Subscription

_SETTLE_S = 10.0
"""How long after a spoken question its recognition is awaited."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", help="a media file or URL, /dev/video0, or FORMAT:DEVICE, e.g. x11grab::0.0")
    parser.add_argument("--server", default="http://127.0.0.1:8080", help="the server's address (%(default)s)")
    question = parser.add_mutually_exclusive_group()
    question.add_argument("--ask", metavar="TEXT", help="a typed question")
    question.add_argument("--say", metavar="WAV", help="a spoken question, mixed into the source's sound")
    parser.add_argument("--at", type=_seconds, default=4.0, help="media second of the question (%(default)s)")
    parser.add_argument("--name", help="a stable name for the session")
    parser.add_argument("--token", help="the server's bearer token")
    parser.add_argument("--loop", action="store_true", help="play a file again and again")
    parser.add_argument("--json", action="store_true", help="print every event as a line of JSON")


def stream(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    try:
        return asyncio.run(_stream(args))
    except ClientError as error:
        print(f"omnidrop: {error.message}\n  {error.remedy}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


async def _stream(args: argparse.Namespace) -> int:
    speech = [Speech(args.at, read_sound(args.say))] if args.say else []
    asks = bool(args.ask or args.say)
    playback = Playback(Programme(Source(args.source), speech, loop=args.loop, hold=asks))
    conversation = Conversation(spoken_at=args.at if args.say else None)
    async with Api(args.server, args.token) as api, Publisher(api, playback, name=args.name) as publisher:
        events = Subscription(api, publisher.session)
        work = [_follow(events, conversation, print_json if args.json else print_plain), publisher.wait()]
        if args.ask:
            work.append(_ask(api, publisher, args.ask, args.at, conversation))
        elif args.say:
            work.append(_give_up(playback, speech[0].end + _SETTLE_S, conversation))
        await _first(work)
    return 0


async def _follow(events: Subscription, conversation: Conversation, show: Callable[[Event], None]) -> None:
    """Show events until the question is answered or, without one, until the session is over."""
    async for event in events:
        show(event)
        conversation.push(event)
        if conversation.answered:
            return


async def _ask(api: Api, publisher: Publisher, text: str, at: float, conversation: Conversation) -> None:
    """Ask when media second ``at`` is due, again for as long as the server has seen nothing yet."""
    await publisher.playback.due(at)
    while True:
        try:
            conversation.expect(await api.ask(publisher.session, text))
            break
        except ServerProblem as refusal:
            if refusal.status != HTTPStatus.CONFLICT or refusal.retry_after is None:
                raise
            await asyncio.sleep(refusal.retry_after)
    await conversation.over.wait()


async def _give_up(playback: Playback, at: float, conversation: Conversation) -> None:
    """Raise when no spoken question was recognised by media second ``at``."""
    await playback.due(at)
    if conversation.question is None:
        raise NoAnswer(
            "The spoken question was not heard.",
            remedy="Check that it is speech, that its level is normal, and that the session's talk mode is hands_free.",
        )
    await conversation.over.wait()


async def _first(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all until one is done; its outcome counts, the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("seconds from 0 on are expected")
    return value


def print_json(event: Event) -> None:
    """One line of JSON an event."""
    print(json.dumps(event, ensure_ascii=False), flush=True)


def print_plain(event: Event) -> None:
    """What a person wants to see of an event: the words as they come, the rest one line each."""
    match event["type"]:
        case "answer.delta":
            print(event["text"], end="", flush=True)
        case "answer.done":
            timing = ", ".join(f"{name} {ms:.0f} ms" for name, ms in event.get("timings_ms", {}).items())
            print(f"\n{_clock(event)} answered ({timing})", flush=True)
        case "answer.restarted":
            print(f"\n{_clock(event)} the model was restarted and is asked again", flush=True)
        case "question.accepted":
            print(f"{_clock(event)} question ({event['source']}): {event['text'] or '(spoken)'}", flush=True)
        case "question.transcribed":
            print(f"{_clock(event)} the question was: {event['text']}", flush=True)
        case "error":
            print(f"{_clock(event)} {event['message']} {event['remedy']}", flush=True)
        case "window.fused":
            seen, kept = (sum(event[key].values()) for key in ("seen", "kept"))
            print(f"{_clock(event)} window {event['index']}: kept {kept} of {seen} tokens", flush=True)
        case "answer.started":
            pass
        case other:
            print(f"{_clock(event)} {other}", flush=True)


def _clock(event: Event) -> str:
    return f"[{event['at']:7.2f}]"
