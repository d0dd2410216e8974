"""SceneQA: an oracle of its own reads the script and must find every question unambiguous and every answer right."""

import re
from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise

import pytest

from nano_omni.world import (
    AUDIO_CATEGORIES,
    CATEGORIES,
    QA,
    SPLITS,
    VIDEO_CATEGORIES,
    Draws,
    Scene,
    Script,
    Sound,
    Thing,
    episode,
    make_script,
    questions,
)
from nano_omni.world.entities import TICKS
from nano_omni.world.hearing import MISHEARD, misheard, word_errors
from nano_omni.world.outside import ASKED, ASKED_HELD_OUT, REPLY
from nano_omni.world.parts import CLAUSES, NOUNS
from nano_omni.world.phrases import EVENTS, HELD_OUT, PHRASES
from nano_omni.world.questions import NEEDLE_CATEGORIES
from nano_omni.world.vocabulary import COLOURS, MOTIONS, NUMBERS, PLACES, SHAPES, SOUNDS
from nano_omni.world.wording import bare, held_out, trained

FILLERS = ("the", "a", "is the", "was the")
"""Words whose mishearings change nothing, so that several may share one."""
CASES = [(make_script(seed, 12, split), cut) for split in SPLITS for seed in range(10) for cut in (1, 3, 8, 13, 20, 24)]


def ask(script: Script, cut: int, number: int, **options: object) -> list[QA]:
    return questions(script, cut, Draws(script.seed, cut), number, **options)  # type: ignore[arg-type]


class Oracle:
    """What is known of [0, cut): everything begun counts as a rival, only what is settled counts as an answer."""

    def __init__(self, script: Script, cut: int) -> None:
        end = cut * TICKS
        self.begun = [scene for scene in script.scenes if scene.start < end]
        self.sure = [scene for scene in self.begun if min(scene.end, end) - scene.start >= TICKS]
        self.sounds = [sound for sound in script.sounds if sound.start < end]
        self.over = [sound for sound in self.sounds if sound.end <= end]
        self.end = end

    def now(self) -> Scene:
        assert self.begun[-1] is self.sure[-1], "asked about a scene that has only just begun"
        return self.begun[-1]

    def only(self, word: str, scenes: list[Scene]) -> tuple[Scene, Thing]:
        """Find the one thing that a name, a shape or a colour can mean."""
        found = [
            (scene, thing)
            for scene in scenes
            for thing in scene.things
            if word in (thing.name, thing.shape, thing.colour)
        ]
        assert len(found) == 1, f"{word} is ambiguous"
        return found[0]

    def last(self, word: str) -> Thing:
        scenes = [s for s in self.begun if any(word in (t.shape, t.colour) for t in s.things)]
        assert scenes[-1] is not self.begun[-1] or scenes[-1].end <= self.end
        return self.only(word, scenes[-1:])[1]

    def heard(self) -> list[Sound]:
        assert self.sounds == self.over, "asked while a sound is still to be heard"
        return self.over

    def times(self, kind: str) -> int:
        matching = [sound for sound in self.sounds if sound.kind == kind]
        assert all(sound.end <= self.end for sound in matching)
        return len(matching)

    def neighbour(self, word: str, step: int) -> str:
        scene, _ = self.only(word, self.begun)
        at = self.begun.index(scene) + step
        assert at < 0 or self.begun[at] in self.sure
        return set_of(self.begun[at]) if at >= 0 else "nothing"

    def next_sound(self, kind: str, step: int) -> str:
        assert self.times(kind) == 1
        at = [sound.kind for sound in self.over].index(kind) + step
        return named(self.over[at].kind)

    def while_sounding(self, event: str) -> str:
        kind = next(kind for kind, said in EVENTS.items() if event in said)
        self.times(kind)
        sound = [sound for sound in self.over if sound.kind == kind][-1]
        (scene,) = (scene for scene in self.begun if scene.start < sound.end and sound.start < scene.end)
        return set_of(scene)

    def sound_during(self, name: str) -> str:
        scene, _ = self.only(name, self.begun)
        kinds = [sound for sound in self.sounds if sound.start < scene.end and scene.start < sound.end]
        assert all(scene.start <= sound.start and sound.end <= min(scene.end, self.end) for sound in kinds)
        assert len(kinds) < 2
        return named(kinds[0].kind) if kinds else "there was no sound"

    def absent(self, word: str, scenes: list[Scene]) -> None:
        assert not any(word in (t.name, t.shape, t.colour) for s in scenes for t in s.things)


def named(kind: str) -> str:
    return "noise" if kind == "noise" else f"a {kind}"


def set_of(scene: Scene) -> str:
    """Order aside, what a scene shows, in the form of `unordered`."""
    return "+".join(sorted(thing.name for thing in scene.things)) or "nothing"


def unordered(answer: str) -> str:
    return "+".join(sorted(re.sub(r"\ban? ", "", answer.rstrip(".")).replace(" and ", ", ").split(", ")))


def count_now(oracle: Oracle, word: str) -> str:
    names = {"objects": None}
    things = oracle.now().things
    wanted = names.get(word, word)
    return NUMBERS[sum(wanted in (None, thing.shape, thing.colour) for thing in things)]


def yes(condition: bool) -> str:
    return "yes" if condition else "no"


def any_named(scenes: list[Scene], name: str) -> bool:
    return any(thing.name == name for scene in scenes for thing in scene.things)


def heard(oracle: Oracle, kind: str) -> str:
    return "yes" if kind in {sound.kind for sound in oracle.over} else yes(oracle.times(kind) > 0)


def moving(oracle: Oracle, shape: str) -> str:
    thing = oracle.only(shape, [oracle.now()])[1]
    assert min(oracle.now().end, oracle.end) - oracle.now().start >= 1.5 * TICKS
    return thing.motion if thing.motion != "still" else "it is not moving"


def standing(thing: Thing) -> str:
    assert thing.motion == "still"
    return thing.place


Rule = Callable[..., str]
RULES: dict[str, Rule] = {
    r"What do you see\?": lambda o: set_of(o.now()),
    r"What colour is the (\w+)\?": lambda o, word: o.only(word, [o.now()])[1].colour,
    r"What colour is it\?": lambda o: o.now().things[0].colour if len(o.now().things) == 1 else "?",
    r"What shape is the (\w+) object\?": lambda o, word: f"a {o.only(word, [o.now()])[1].shape}",
    r"What shape is it\?": lambda o: f"a {o.now().things[0].shape}" if len(o.now().things) == 1 else "?",
    r"Where is the ([\w ]+)\?": lambda o, word: standing(o.only(word, [o.now()])[1]),
    r"How many (objects) are there\?": count_now,
    r"How many (\w+)s are there\?": count_now,
    r"How many (\w+) objects are there\?": count_now,
    r"Which way is the (\w+) moving\?": moving,
    r"Is the (\w+) small or large\?": lambda o, w: "small" if o.only(w, [o.now()])[1].size < 0.2 else "large",
    r"Is there an? ([\w ]+)\?": lambda o, name: yes(any_named([o.now()], name)),
    r"What shape did you see first\?": lambda o: f"a {alone(o).shape}",
    r"What colour did you see first\?": lambda o: alone(o).colour,
    r"What did you see first\?": lambda o: set_of(first_shown(o)),
    r"What did you see before the ([\w ]+)\?": lambda o, name: o.neighbour(name, -1),
    r"What did you see after the ([\w ]+)\?": lambda o, name: o.neighbour(name, 1),
    r"What colour was the (\w+)\?": lambda o, word: o.only(word, o.begun)[1].colour,
    r"What colour was the last (\w+) you saw\?": lambda o, word: o.last(word).colour,
    r"What shape was the (\w+) object\?": lambda o, word: f"a {o.only(word, o.begun)[1].shape}",
    r"What shape was the last (\w+) object you saw\?": lambda o, word: f"a {o.last(word).shape}",
    r"Where was the ([\w ]+)\?": lambda o, name: standing(o.only(name, o.begun)[1]),
    r"Did you see an? ([\w ]+)\?": lambda o, name: yes(any_named(o.sure, name)),
    r"What did you hear last\?": lambda o: named(o.heard()[-1].kind) if o.heard() else "there was no sound",
    r"What did you hear first\?": lambda o: named(o.over[0].kind) if o.sounds else "there was no sound",
    r"Which sound came before the (\w+)\?": lambda o, kind: o.next_sound(kind, -1),
    r"Which sound came after the (\w+)\?": lambda o, kind: o.next_sound(kind, 1),
    r"How many times did you hear (?:a )?(\w+)\?": lambda o, kind: NUMBERS[o.times(kind)],
    r"How many sounds did you hear\?": lambda o: NUMBERS[len(o.heard())],
    r"Did you hear (?:a )?(\w+)\?": lambda o, kind: heard(o, kind),
    r"What were the last three sounds\?": lambda o: ", then ".join(named(s.kind) for s in o.heard()[-3:]),
    r"Which sounds did you hear\?": lambda o: all_sounds(o.heard()),
    r"What was on screen (?:when|the last time) ([\w ]+)\?": lambda o, event: o.while_sounding(event),
    r"Which sound did you hear while the ([\w ]+) was visible\?": lambda o, name: o.sound_during(name),
}
LISTS = ("now.list", "past.first", "past.before", "past.after", "av.screen")


def first_shown(oracle: Oracle) -> Scene:
    scene = next(scene for scene in oracle.begun if scene.things)
    assert scene in oracle.sure
    return scene


def alone(oracle: Oracle) -> Thing:
    (thing,) = first_shown(oracle).things
    return thing


def all_sounds(sounds: list[Sound]) -> str:
    said = ", then ".join(named(sound.kind) for sound in (sounds if len(sounds) <= 4 else sounds[-3:]))
    return said if len(sounds) <= 4 else f"lately {said}"


def judge(script: Script, qa: QA) -> None:
    """Check one canonical question against the oracle."""
    oracle = Oracle(script, qa.cut)
    rule, match = next((rule, found) for text, rule in RULES.items() if (found := re.fullmatch(text, qa.text)))
    if qa.category.startswith("absent"):
        judge_absence(oracle, qa, match.group(1) if match.groups() else "")
        return
    expected, given = rule(oracle, *match.groups()), qa.answer.rstrip(".")
    assert expected == (unordered(given) if qa.category in LISTS and "What shape" not in qa.text else given) or (
        expected == given
    ), qa


def judge_absence(oracle: Oracle, qa: QA, word: str) -> None:
    named_kind = next((kind for kind, said in EVENTS.items() if word in said), word)
    if qa.answer == "there is nothing.":
        assert not oracle.now().things
    elif named_kind in SOUNDS:
        assert qa.answer == f"there was no {named_kind}."
        assert named_kind not in {sound.kind for sound in oracle.sounds}
    else:
        noun = f"{word} object" if word in COLOURS else word
        now = qa.category == "absent.now"
        assert qa.answer == (f"there is no {noun}." if now else f"there was no {noun}.")
        oracle.absent(word, [oracle.now()] if now else oracle.begun)


def test_every_answer_is_right_and_beyond_doubt() -> None:
    asked = Counter[str]()
    categories = [name for name in CATEGORIES if name not in ("outside", "describe")]
    for script, cut in CASES:
        for qa in ask(script, cut, 30, categories=categories, phrasing="canonical"):
            judge(script, qa)
            asked[qa.category] += 1
    assert min(asked[name] for name in categories) >= 15


def test_a_description_tells_the_last_scenes_in_order_and_stays_short() -> None:
    seen = 0
    for script, cut in CASES:
        oracle = Oracle(script, cut)
        for qa in ask(script, cut, 2, categories=["describe"]):
            saw, heard = qa.answer.removesuffix(".").split(". I heard ")
            assert saw.startswith("lately I saw ") == (len(oracle.begun) > 3)
            scenes = saw.removeprefix("lately ").removeprefix("I saw ").split(", then ")
            assert [unordered(scene) for scene in scenes] == [set_of(scene) for scene in oracle.begun[-3:]]
            since = [sound.kind for sound in oracle.heard() if sound.start >= oracle.begun[-3:][0].start]
            assert heard == (", then ".join(map(named, since)) if since else "nothing")
            assert len(re.findall(r"\w+|[^\w\s]", qa.answer)) <= 56
            seen += 1
    assert seen > 50


def test_lists_run_from_left_to_right() -> None:
    for script, cut in CASES:
        for qa in ask(script, cut, 4, categories=["now.list"]):
            scene = Oracle(script, cut).now()
            where = {thing.name: thing.at((cut * TICKS - scene.start) / TICKS - 0.5) for thing in scene.things}
            names = re.sub(r"\ban? ", "", qa.answer[:-1]).replace(" and ", ", ").split(", ")
            places = [where[name] for name in names if name != "nothing"]
            for one, other in pairwise(places):
                assert one[0] < other[0] - 0.1 or (abs(one[0] - other[0]) < 0.15 and one[1] < other[1])


def tally(split: str) -> dict[str, Counter[str]]:
    answers: dict[str, Counter[str]] = {}
    draws = Draws(3)
    for seed in range(40):
        script = make_script(seed, 12, split)
        for cut in range(2, 25, 3):
            for qa in questions(script, cut, draws, 12):
                answers.setdefault(qa.category, Counter())[qa.answer] += 1
    return answers


def test_no_category_can_be_guessed() -> None:
    answers = tally("dense")
    assert set(answers["outside"]) == {REPLY}
    for name in CATEGORIES[:-1]:
        assert answers[name].most_common(1)[0][1] <= 0.62 * answers[name].total(), name
    assert set(answers["now.colour"]) == {f"{colour}." for colour in COLOURS}
    assert set(answers["now.shape"]) == {f"a {shape}." for shape in SHAPES}
    assert set(answers["past.place"]) == {f"{place}." for place in PLACES}
    assert len(answers["now.motion"]) == len(MOTIONS)
    assert {named(kind) + "." for kind in SOUNDS} <= set(answers["audio.last"])


def test_only_needles_are_asked_about_where_there_are_needles() -> None:
    answers = tally("needle")
    assert answers.keys() == set(NEEDLE_CATEGORIES)
    for name, told in answers.items():
        assert told.most_common(1)[0][1] <= 0.35 * told.total(), name
        assert name.startswith("audio.") or not {"nothing.", "there was no sound."} & set(told)


def test_phrasings_are_many_and_those_held_out_are_never_trained() -> None:
    assert PHRASES.keys() == HELD_OUT.keys() == NOUNS.keys() == CLAUSES.keys()
    assert PHRASES["now.colour"][0] == "What colour is the {shape}?"
    assert PHRASES["past.first.shape"][0] == "What shape did you see first?"
    for key, known in PHRASES.items():
        fields = {frozenset(re.findall(r"{\w+}", text)) for text in (*known, *HELD_OUT[key])}
        assert len(fields) == 1
        assert len(set(known)) == len(known) >= 6
        assert len(HELD_OUT[key]) >= 2
        assert len(trained(key)) >= max(40, 5 * len(known))
        assert len(held_out(key)) >= 10
        assert trained(key)[0] == known[0]
    shown = {bare(text) for key in PHRASES for text in trained(key)}
    assert not shown & {bare(text) for key in PHRASES for text in held_out(key)}
    assert not shown & {bare(text) for held in HELD_OUT.values() for text in held}
    assert not set(ASKED) & set(ASKED_HELD_OUT)


def test_one_phrasing_never_means_two_things() -> None:
    owners: dict[str, set[str]] = {}
    for key in PHRASES:
        for text in (*trained(key), *held_out(key)):
            owners.setdefault(bare(text), set()).add(key)
    assert {text: keys for text, keys in owners.items() if len(keys) > 1} == {}


def test_surfaces_vary_as_people_and_recognisers_do() -> None:
    texts = [qa.text for script, cut in CASES for qa in ask(script, cut, 20)]
    share = len(texts) / 100
    assert sum("color" in text.lower() for text in texts) > 3 * share
    assert sum(text == text.lower() for text in texts) > 20 * share
    assert sum(text[-1] not in "?." for text in texts) > 15 * share
    assert not any("{" in text for text in texts)
    plain = [qa.text for script, cut in CASES for qa in ask(script, cut, 9, phrasing="canonical")]
    assert any("an orange" in text for text in plain)
    assert not any("a orange" in text for text in plain)


def test_mishearings_never_stand_for_two_words_or_for_one_of_the_world() -> None:
    owners = Counter(heard for key, known in MISHEARD.items() if key not in FILLERS for heard in known)
    assert set(owners.values()) == {1}
    assert owners.keys().isdisjoint((*COLOURS, *SHAPES, *SOUNDS, *MOTIONS, *PLACES))
    draws = Draws(4)
    assert len({misheard("What colour is the star?", draws) for _ in range(40)}) > 5


def test_word_errors_come_at_their_rate_and_spare_what_they_must() -> None:
    text, draws = "What was on screen the last time you heard the siren?", Draws(6)
    words = text.split()
    for rate in (0.05, 0.2):
        wrong = 0
        for _ in range(400):
            heard = word_errors(text, rate, draws, {"siren"}).split()
            kept = SequenceMatcher(a=words, b=heard, autojunk=False).get_matching_blocks()
            wrong += max(len(words), len(heard)) - sum(block.size for block in kept)
            assert len(heard) >= 4
        assert 0.6 * rate < wrong / (400 * len(words)) < 1.2 * rate
    assert word_errors(text, 0.0, draws) == text
    spared = [word_errors("the siren?", 1.0, draws, {"the", "siren"}).split() for _ in range(50)]
    assert all(len(heard) >= 2 for heard in spared)
    assert word_errors("Why?", 1.0, draws)


def test_evidence_holds_what_the_answer_names() -> None:
    found = Counter[str]()
    for script, cut in CASES:
        for qa in ask(script, cut, 8, categories=["past", "av", "now"], phrasing="canonical"):
            shown = [scene for scene in script.scenes if any(a < scene.end and scene.start < b for a, b in qa.evidence)]
            assert all(0 <= start < end <= cut * TICKS for start, end in qa.evidence)
            if match := re.search(r"a (\w+ \w+)\.$", qa.answer):
                assert any(match.group(1) in {thing.name for thing in scene.things} for scene in shown), qa
                found[qa.category] += 1
    assert len(found) >= 5


def test_an_episode_is_a_conversation_in_order_of_time() -> None:
    for split in SPLITS:
        script = make_script(4, 12, split)
        asked = episode(script, Draws(1), 6, ["past", "audio", "now"])
        assert len(asked) >= 5
        assert [qa.cut for qa in asked] == sorted({qa.cut for qa in asked})
        assert asked[-1].cut == 24
        assert len({qa.text for qa in asked}) == len(asked)
        for qa in asked:
            judge(script, qa)
    with pytest.raises(ValueError, match="turns"):
        episode(script, Draws(1), 13)


def test_questions_repeat_from_the_same_seed_and_respect_the_choice() -> None:
    script = make_script(5, 8)
    assert ask(script, 9, 12) == ask(script, 9, 12)
    assert {qa.category.split(".")[0] for qa in ask(script, 9, 12, categories=["audio", "outside"])} <= {
        "audio",
        "outside",
    }
    assert set(VIDEO_CATEGORIES) & set(AUDIO_CATEGORIES) == {"outside"}
    assert {"av.screen", "describe"}.isdisjoint((*VIDEO_CATEGORIES, *AUDIO_CATEGORIES))


@pytest.mark.parametrize(("cut", "categories"), [(0, None), (17, None), (4, ["smell"]), (4, [])])
def test_impossible_questions_are_refused(cut: int, categories: list[str] | None) -> None:
    with pytest.raises(ValueError, match=r"cut|categories"):
        questions(make_script(1, 8), cut, Draws(1), 1, categories)
