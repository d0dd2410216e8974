import json

import pytest

from clients.python.http import problem


def test_a_problem_document_is_told_in_its_own_words() -> None:
    body = json.dumps({"title": "Conflict", "detail": "Nothing seen.", "code": "conflict", "remedy": "Wait."}).encode()
    error = problem(409, body, "2")
    assert (error.message, error.remedy, error.code, error.status) == ("Nothing seen.", "Wait.", "conflict", 409)
    assert error.retry_after == 2.0
    assert error.exit_status == 4


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b"\xff\xfe"])
def test_any_other_refusal_is_told_by_its_status(body: bytes) -> None:
    error = problem(502, body, "Wed, 21 Oct 2026 07:28:00 GMT")
    assert "502" in error.message
    assert error.remedy
    assert error.retry_after is None
