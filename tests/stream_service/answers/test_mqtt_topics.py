from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_service.answers.log import Record
from stream_service.answers.mqtt_topics import MAX_ASK_BYTES, Asking, Questions, Topics, asker_id, discovery
from stream_service.answers.store import Stored
from stream_service.errors import InvalidInput, InvalidQuestion, NotFound

TOPICS = Topics("home/omnidrop")


def test_events_go_under_the_session_s_name_or_id_and_answers_twice() -> None:
    done = Stored(7, "id", "porch", Record(3, "answer.done", '{"seq":3}'))
    assert [(one.topic, one.payload, one.retain) for one in TOPICS.messages(done)] == [
        ("home/omnidrop/porch/events", '{"seq":3}', False),
        ("home/omnidrop/porch/answers", '{"seq":3}', False),
    ]
    unnamed = Stored(8, "id", None, Record(4, "answer.delta", "{}"))
    assert [one.topic for one in TOPICS.messages(unnamed)] == ["home/omnidrop/id/events"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("What is this?", Asking("What is this?")),
        ('{"text": "What is this?"}', Asking("What is this?")),
        (' {"text": "Und das – ß?", "id": "a1"}', Asking("Und das – ß?", "a1")),
        ("", Asking("")),
    ],
)
def test_a_question_is_text_or_json(payload: str, expected: Asking) -> None:
    assert Questions().read("s", payload.encode(), retained=False) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xfe",
        b"{",
        b'{"text": "x"',
        b"{}",
        b'{"text": 5}',
        b'{"text": null}',
        b'{"text": "x", "id": 5}',
        b'{"text": "x", "id": ""}',
        b'{"text": "x", "mode": "loud"}',
        b'{"a":' * 20_000,
        b"x" * (MAX_ASK_BYTES + 1),
    ],
)
def test_what_is_no_question_is_refused_with_a_remedy(payload: bytes) -> None:
    with pytest.raises(InvalidQuestion) as refused:
        Questions().read("s", payload, retained=False)
    assert refused.value.remedy


# In a fresh checkout hypothesis first makes its table of all characters, which takes seconds.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.binary(max_size=50)
    | st.dictionaries(st.sampled_from(["text", "id", "x"]), st.none() | st.text() | st.integers())
)
def test_no_payload_does_more_harm_than_to_be_refused(payload: object) -> None:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    try:
        asking = Questions().read("s", raw, retained=False)
    except InvalidQuestion:
        return
    assert isinstance(asking, Asking)


def test_a_question_delivered_twice_is_asked_once() -> None:
    questions = Questions()
    payload = b'{"text": "What is this?", "id": "a1"}'
    assert questions.read("porch", payload, retained=False) is not None
    assert questions.read("porch", payload, retained=False) is None
    assert questions.read("shed", payload, retained=False) is not None
    for number in range(600):
        questions.read("porch", b'{"text": "x", "id": "%d"}' % number, retained=False)
    assert questions.read("porch", payload, retained=False) is not None  # forgotten by now: nothing grows for ever


def test_a_question_that_was_refused_may_come_again() -> None:
    questions = Questions()
    for payload in (b'{"text": "What is this?", "id": "a1"}', b"What is this?"):
        for _ in range(2):
            asking = questions.read("porch", payload, retained=False)
            assert asking is not None
            questions.forget("porch", asking)


def test_a_retained_question_is_not_asked() -> None:
    with pytest.raises(InvalidInput, match="again at every connection"):
        Questions().read("s", b"What?", retained=True)


def test_a_refusal_says_why_and_to_which_question() -> None:
    refusal = TOPICS.refusal("porch", NotFound("There is no session.", remedy="Publish."), "a1")
    assert refusal.topic == "home/omnidrop/porch/errors"
    assert json.loads(refusal.payload) == {
        "code": "not_found", "message": "There is no session.", "remedy": "Publish.", "id": "a1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "id"),
    [
        (b'{"text": 5, "id": "q8"}', "q8"),
        (b'{"text": "Who?", "id": "q9", "loud": true}', "q9"),
        (b'{"text": 5, "id": 8}', None),
        (b'{"id": "' + b"x" * 129 + b'"}', None),
        (b"[1, 2]", None),
        (b'{"id": ', None),
        (b"\xff\xfe", None),
        (b"[" * 60_000, None),
    ],
)
def test_a_wrong_question_is_told_by_its_id_where_it_has_one(payload: bytes, id: str | None) -> None:
    assert asker_id(payload) == id


def test_home_assistant_is_told_of_an_answer_and_of_a_box_for_questions() -> None:
    answer, question = discovery("homeassistant", TOPICS, "front.door", "1.2")
    assert answer.topic == "homeassistant/sensor/omnidrop_front_door/answer/config"
    assert question.topic == "homeassistant/text/omnidrop_front_door/question/config"
    assert answer.retain
    assert question.retain
    said, box = json.loads(answer.payload), json.loads(question.payload)
    assert said["state_topic"] == "home/omnidrop/front.door/answers"
    assert box["command_topic"] == "home/omnidrop/front.door/ask"
    assert said["availability_topic"] == box["availability_topic"] == "home/omnidrop/status"
    assert said["device"] == box["device"]
    assert said["unique_id"] != box["unique_id"]
