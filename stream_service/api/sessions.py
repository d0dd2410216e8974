"""Sessions over HTTP: look at them, ask them, let them listen, subscribe to their events, end them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, WebSocket
from pydantic import Field
from starlette.responses import Response

from stream_service.answers import websocket as answers
from stream_service.answers.events import Model, Wire
from stream_service.api.gateway import Gateway, gateway_of, source_of
from stream_service.api.guard import GuardedRoute, client_of, needs
from stream_service.api.tokens import Client, Scope
from stream_service.session import endings
from stream_service.session.controller import Session
from stream_service.session.settings import BargeIn
from stream_service.types import Fit, TalkMode

Its = Annotated[Gateway, Depends(gateway_of)]
router = APIRouter(prefix="/v1", route_class=GuardedRoute)
sockets = APIRouter(prefix="/v1")


class SessionView(Wire):
    """A session as it is now."""

    session: str = Field(description="Its id.")
    name: str | None = Field(description="Its stable name, if it has one.")
    state: Literal["opening", "live", "lost", "closed"] = Field(description="Where it is in its life.")
    talk: TalkMode = Field(description="How its microphone becomes questions.")
    barge_in: BargeIn = Field(description="What a question during an answer does.")
    budget: int = Field(description="Audiovisual tokens that it may keep.")
    session_bytes: int = Field(description="Memory that it takes at most, in bytes.")
    at: float = Field(description="Stream seconds of the newest media.")
    seq: int = Field(description="Number of its newest event.")
    windows: int = Field(description="Windows cut so far.")
    windows_in_flight: int = Field(description="Of these, not fused yet.")
    questions: list[str] = Field(description="Questions not answered yet, oldest first.")
    subscribers: int = Field(description="Answer WebSockets open.")
    source: dict[str, float] = Field(description="Statistics of its source: frames, samples, skew, loss, jitter.")


class SessionList(Wire):
    sessions: list[SessionView]


class Change(Wire):
    budget: int = Field(
        ge=1,
        description="Audiovisual tokens that the session may keep: at least those of one window, at most model.budget "
        "of GET /v1/info.",
    )


class Changed(Wire):
    """A session's memory from now on."""

    budget: int = Field(description="Audiovisual tokens that it may keep.")
    session_bytes: int = Field(description="Memory that it takes at most, in bytes.")
    store_tokens: int = Field(description="Audiovisual tokens that it keeps.")
    coverage: float = Field(description="Share of its past windows still represented, 0 to 1.")


class Ask(Wire):
    text: str = Field(description="The question, in words.", json_schema_extra={"pattern": r"\S"})


class Asked(Wire):
    question: str = Field(description="Id of the question, found again in its events.")
    session: str = Field(description="Id of the session.")
    at: float = Field(description="Stream seconds up to which the question sees the stream.")


class Talk(Wire):
    mode: TalkMode = Field(description="How the microphone becomes questions from now on.")


class Key(Wire):
    action: Literal["press", "release"] = Field(description="What the push-to-talk key did.")


class Limits(Wire):
    question_chars: int = Field(description="Longest question, in characters.")
    question_tokens: int = Field(
        description="Longest question, in tokens of the model: at most as many as it has bytes, in English a quarter."
    )
    sdp_bytes: int = Field(description="Largest SDP offer, in bytes.")
    sessions: int = Field(description="Sessions open at once.")
    grace_s: float = Field(description="Seconds that a lost source has to come back.")


class Info(Wire):
    """What this server is and allows."""

    model: Model
    session_bytes: int = Field(description="Memory of one session, in bytes.")
    fit: Fit = Field(
        description="What the model sees of a picture of another shape than its frames: the centre (crop), or all of "
        "it on black (letterbox)."
    )
    speech: bool = Field(description="Whether the server listens for spoken questions.")
    talk: TalkMode = Field(description="How a session listens unless its publisher chooses.")
    barge_in: BargeIn = Field(description="What a question during an answer does unless its publisher chooses.")
    limits: Limits
    ice_servers: list[dict[str, Any]] = Field(description="RTCIceServer objects to connect with.")


@router.get("/info", tags=["Also"], dependencies=[needs(None)])
async def info(its: Its) -> Info:
    """The model that answers, and this server's limits."""
    publishing = its.publishing
    return Info(
        model=Model(**{name: getattr(its.info, name) for name in Model.model_fields}),
        session_bytes=its.info.session_bytes,
        fit=publishing.fit,
        speech=publishing.speech,
        talk=publishing.talk,
        barge_in=publishing.barge_in,
        limits=Limits(
            question_chars=its.questions.question_chars,
            question_tokens=its.info.question_tokens,
            sdp_bytes=publishing.max_sdp_bytes,
            sessions=its.info.max_sessions,
            grace_s=publishing.grace_s,
        ),
        ice_servers=list(publishing.ice_servers()),
    )


@router.get("/sessions", tags=["Also"], dependencies=[needs(Scope.SUBSCRIBE)])
async def sessions(its: Its) -> SessionList:
    """Every living session, oldest first."""
    return SessionList(sessions=[_view(its, session) for session in its.sessions.all()])


@router.get("/sessions/{session}", tags=["Also"], dependencies=[needs(Scope.SUBSCRIBE)])
async def session(its: Its, session: str) -> SessionView:
    """One session, by id or name."""
    return _view(its, its.sessions.get(session))


@router.patch("/sessions/{session}", tags=["Also"], dependencies=[needs(Scope.ADMIN)])
async def change(its: Its, session: str, change: Change) -> Changed:
    """Change how much a session remembers, while it runs; an answer that runs is waited for."""
    made = await its.sessions.resize(session, change.budget)
    return Changed(**{name: getattr(made, name) for name in Changed.model_fields})


@router.delete("/sessions/{session}", status_code=204, tags=["Also"], dependencies=[needs(Scope.ADMIN)])
async def close(its: Its, session: str) -> Response:
    """End a session: its source is disconnected, its running answers are cancelled."""
    await its.sessions.close(session, endings.BY_CLIENT)
    return Response(status_code=204)


@router.post("/sessions/{session}/questions", status_code=202, tags=["Ask"], dependencies=[needs(Scope.ASK)])
async def ask(its: Its, client: Annotated[Client, Depends(client_of)], session: str, asked: Ask) -> Asked:
    """Ask about the stream as it is now; the answer comes as events."""
    its.quotas.ask(client)
    question = its.sessions.ask(session, asked.text)
    return Asked(question=question.id, session=question.session, at=question.at)


@router.delete(
    "/sessions/{session}/questions/{question}",
    status_code=202,
    response_class=Response,
    tags=["Ask"],
    dependencies=[needs(Scope.ASK)],
)
async def cancel(its: Its, session: str, question: str) -> Response:
    """Cancel a question; its answer.cancelled event follows."""
    its.sessions.get(session).cancel(question)
    return Response(status_code=202)


@router.put("/sessions/{session}/talk", tags=["Ask"], dependencies=[needs(Scope.ASK)])
async def talk(its: Its, session: str, talk: Talk) -> Talk:
    """Choose how the microphone becomes questions."""
    its.sessions.get(session).set_talk(talk.mode)
    return talk


@router.post(
    "/sessions/{session}/talk", status_code=202, response_class=Response, tags=["Ask"], dependencies=[needs(Scope.ASK)]
)
async def key(its: Its, session: str, key: Key) -> Response:
    """The push-to-talk key went down or up."""
    found = its.sessions.get(session)
    if key.action == "press":
        found.press()
    else:
        found.release()
    return Response(status_code=202)


@sockets.websocket("/sessions/{session}/answers", dependencies=[needs(Scope.SUBSCRIBE)])
async def subscribe(websocket: WebSocket, session: str, after: Annotated[int, Query(ge=0)] = 0) -> None:
    """Every event of the session that follows number ``after``, then the new ones as they happen."""
    its: Gateway = websocket.app.state.gateway
    found = its.sessions.find(session)
    id = session if found is None else found.id
    with its.quotas.subscribing(client_of(websocket)):
        await answers.serve(websocket, id, await its.fanouts.find(id), after, its.wall(), its.metrics.on_error)


def _view(its: Gateway, session: Session) -> SessionView:
    return SessionView(
        session=session.id,
        name=session.options.name,
        state=session.state.value,
        talk=session.talk,
        barge_in=session.options.barge_in,
        budget=session.options.engine.budget or its.info.budget,
        session_bytes=session.session_bytes,
        at=round(session.position, 3),
        seq=session.journal.last,
        windows=session.windows,
        windows_in_flight=session.windows_in_flight,
        questions=[turn.question for turn in session.turns.open()],
        subscribers=session.journal.subscribers,
        source=source_of(its, session.id),
    )
