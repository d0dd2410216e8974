import pytest

from stream_service.speech.question import babbles, tidy, words


@pytest.mark.parametrize(
    ("heard", "asked"),
    [
        ("What colour is the circle?", "What colour is the circle?"),
        ("what  colour is\nit", "What colour is it?"),
        ("Is anything moving right now.", "Is anything moving right now?"),
        ("Which sounds did you hear.", "Which sounds did you hear?"),
        ("Describe the stream so far.", "Describe the stream so far."),
        ("What is the weather like to-morrow", "What is the weather like tomorrow?"),
        ("You What do you see?", "What do you see?"),
        ("I' Where is the square?", "Where is the square?"),
        ("You see what?", "You see what?"),
        ("You what?", "You what?"),
        ("I heard a bell.", "I heard a bell."),
        ("What's that", "What's that?"),
        ("", ""),
    ],
)
def test_transcripts_are_spelt_as_a_person_would(heard: str, asked: str) -> None:
    assert tidy(heard) == asked


def test_tidying_twice_changes_nothing() -> None:
    for text in ("You What do you see.", "i' what is it", "tell me what you see"):
        assert tidy(tidy(text)) == tidy(text)


@pytest.mark.parametrize("text", ["la la la la", "No no no no no.", "you know you know you know you know"])
def test_babble_is_recognised(text: str) -> None:
    assert babbles(text)


@pytest.mark.parametrize("text", ["", "Did you hear a beep, a beep, or a bell?", "What is that that that?"])
def test_questions_are_not_babble(text: str) -> None:
    assert not babbles(text)


def test_words_are_bare_and_lower_case() -> None:
    assert words("What's THAT, then?") == ["what's", "that", "then"]
