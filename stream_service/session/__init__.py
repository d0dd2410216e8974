"""One live session: its media, its speech, its questions and its events, held together by one object."""
