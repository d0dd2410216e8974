"""Questions that the scene cannot answer, and the one reply to them."""

from nano_omni.world.draws import Draws

REPLY = "I can only answer about what I see and hear."

TOPICS: dict[str, tuple[str, ...]] = {
    "country": ("France", "Germany", "Japan", "Italy", "Spain", "Brazil", "Canada", "Norway", "India", "Kenya", "Peru"),
    "city": ("London", "Paris", "Berlin", "Tokyo", "Rome", "Madrid", "Oslo", "Cairo", "Boston", "Lima"),
    "person": ("Einstein", "Mozart", "Shakespeare", "Napoleon", "Darwin", "Newton", "Picasso", "Cleopatra"),
    "animal": ("elephants", "cats", "dogs", "whales", "bees", "horses", "tigers", "owls"),
    "food": ("bread", "soup", "pizza", "pancakes", "rice", "a cake", "coffee", "salad"),
    "number": ("two", "three", "five", "seven", "nine", "twelve", "20", "37", "100", "15"),
    "field": ("physics", "history", "music", "chess", "football", "poetry", "chemistry", "mathematics", "politics"),
    "day": ("today", "tomorrow", "on Monday", "this weekend", "next week", "tonight"),
}
ASKED = (
    "What is the capital of {country}?", "How many people live in {country}?", "Where is {country}?",
    "Who is the president of {country}?", "What language do they speak in {country}?", "What is {country} famous for?",
    "How far is {city}?", "What's the weather like in {city}?", "How do I get to {city}?", "What time is it in {city}?",
    "Who was {person}?", "When was {person} born?", "What did {person} do?", "Tell me about {person}.",
    "How old do {animal} get?", "What do {animal} eat?", "How fast are {animal}?", "Do you like {animal}?",
    "How do I make {food}?", "What goes into {food}?", "Should I eat {food}?", "How much is {food}?",
    "What is {number} plus {number}?", "What's {number} times {number}?", "Is {number} a prime number?",
    "Explain {field} to me.", "Who invented {field}?", "Can you teach me {field}?", "Tell me a fact about {field}.",
    "What will the weather be {day}?", "What should I do {day}?", "Will it rain {day}?", "Who wins the game {day}?",
    "What time is it?", "What day is it?", "Tell me a joke.", "Sing me a song.", "Write a poem.", "What is love?",
    "What's your favourite colour?", "How old are you?", "Do you have friends?", "Can you drive a car?",
    "What is the meaning of life?", "Who won the world cup?", "How tall is Mount Everest?",
    "Translate hello into French.", "Set a timer for {number} minutes.", "Call my mother.", "Turn on the light.",
    "Play some music.", "Book a table.", "What is my name?", "Where do I live?", "What did I do yesterday?",
    "How much is the fish?", "Who wrote Hamlet?", "Why do circles have no corners?", "What is the area of a square?",
    "Who makes the best bells?", "Why is the sky blue?",
)  # fmt: skip
ASKED_HELD_OUT = (
    "How big is {country}?", "Which river flows through {city}?", "Where did {person} live?", "Are {animal} dangerous?",
    "Can I buy {food} here?", "What is {number} minus {number}?", "Recommend me a book about {field}.",
    "What happens {day} in the news?", "What is the speed of light?", "Send an email to my boss.",
)  # fmt: skip


def draw_outside(draws: Draws, *, held_out: bool) -> str:
    """Draw a question about the wider world."""
    asked = draws.choice(ASKED_HELD_OUT if held_out else ASKED)
    for topic, words in TOPICS.items():
        while f"{{{topic}}}" in asked:
            asked = asked.replace(f"{{{topic}}}", draws.choice(words), 1)
    return asked
