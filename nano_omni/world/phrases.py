"""How people ask: of every kind of question the canonical phrasing first, then others; and some never trained on.

Fields: {shape}, {colour}, {thing} ("red circle"), {sound} ("bell"), {a_sound} ("a bell"), {event} ("the bell rang").
"""

PHRASES: dict[str, tuple[str, ...]] = {
    "now.list": (
        "What do you see?", "What can you see now?", "What is on screen?", "What's in the picture right now?",
        "What is there?", "Tell me what you see.", "Which objects are visible?", "What are you looking at?",
        "What's in front of the camera?", "Name the objects from left to right.", "What is this?", "What's that?",
    ),
    "now.colour": (
        "What colour is the {shape}?", "Which colour is the {shape}?", "What's the colour of the {shape}?",
        "What colour is that {shape}?", "Tell me the colour of the {shape}.", "The {shape} is what colour?",
        "What colour does the {shape} have?", "Can you tell me what colour the {shape} is?",
        "What is the {shape}'s colour?",
    ),
    "now.colour.lone": (
        "What colour is it?", "What colour is this?", "What colour is the object?", "Which colour do you see?",
        "What's the colour of this thing?", "What colour is the shape?", "Tell me its colour.",
    ),
    "now.shape": (
        "What shape is the {colour} object?", "What is the {colour} thing?", "Which shape is {colour}?",
        "What's the shape of the {colour} one?", "What {colour} shape do you see?", "What is {colour}?",
        "Which shape does the {colour} object have?", "Tell me the shape of the {colour} object.",
    ),
    "now.shape.lone": (
        "What shape is it?", "What shape is this?", "Which shape do you see?", "What's the shape of the object?",
        "What shape am I holding?", "What shape is on screen?", "Tell me the shape.",
    ),
    "now.place": (
        "Where is the {thing}?", "Where's the {thing}?", "Where do you see the {thing}?",
        "In which place is the {thing}?", "What is the position of the {thing}?", "Tell me where the {thing} is.",
        "Which part of the picture is the {thing} in?",
    ),
    "now.count": (
        "How many objects are there?", "How many objects do you see?", "How many shapes are there?",
        "How many things are on screen?", "Count the objects.", "What's the number of objects?",
        "How many shapes can you see?", "How many are there?",
    ),
    "now.count.shape": (
        "How many {shape}s are there?", "How many {shape}s do you see?", "Count the {shape}s.",
        "How many {shape}s can you see now?", "What's the number of {shape}s?", "How many {shape}s are on screen?",
    ),
    "now.count.colour": (
        "How many {colour} objects are there?", "How many {colour} things do you see?", "Count the {colour} objects.",
        "How many {colour} shapes are there?", "How many objects are {colour}?", "How many of them are {colour}?",
    ),
    "now.motion": (
        "Which way is the {shape} moving?", "In which direction is the {shape} moving?", "Where is the {shape} going?",
        "How is the {shape} moving?", "Which direction does the {shape} move?", "What's the direction of the {shape}?",
        "Where does the {shape} move to?", "Is the {shape} moving, and which way?",
    ),
    "now.size": (
        "Is the {shape} small or large?", "How big is the {shape}?", "What size is the {shape}?",
        "Is the {shape} large or small?", "What's the size of the {shape}?", "Is it a small {shape} or a large one?",
        "How large is the {shape}?",
    ),
    "now.exists": (
        "Is there a {thing}?", "Do you see a {thing}?", "Can you see a {thing} now?", "Is a {thing} visible?",
        "Is there a {thing} on screen?", "There's a {thing}, right?", "Is a {thing} in the picture?",
        "Any {thing} there?",
    ),
    "past.first.shape": (
        "What shape did you see first?", "Which shape did you see first?", "What was the first shape?",
        "What shape came first?", "What's the first shape you saw?", "Which shape was shown first?",
        "Tell me the first shape you saw.", "The first shape was what?",
    ),
    "past.first.colour": (
        "What colour did you see first?", "What colour was the first object?", "Which colour came first?",
        "What was the colour of the first object?", "What's the first colour you saw?",
        "What colour was the first shape?",
    ),
    "past.first": (
        "What did you see first?", "What was there first?", "What was the first thing you saw?", "What came first?",
        "What was on screen at the beginning?", "What did you see at the start?", "What's the first thing you saw?",
        "How did it begin?",
    ),
    "past.before": (
        "What did you see before the {thing}?", "What came before the {thing}?", "What was there before the {thing}?",
        "What was on screen before the {thing}?", "What did you see just before the {thing}?",
        "Before the {thing}, what was there?", "What was shown right before the {thing}?",
    ),
    "past.after": (
        "What did you see after the {thing}?", "What came after the {thing}?", "What was there after the {thing}?",
        "What was on screen after the {thing}?", "What came next after the {thing}?",
        "After the {thing}, what did you see?", "What followed the {thing}?",
    ),
    "past.colour": (
        "What colour was the {shape}?", "Which colour was the {shape}?", "What was the colour of the {shape}?",
        "What colour was that {shape}?", "Do you remember the colour of the {shape}?", "The {shape} was what colour?",
        "What colour did the {shape} have?",
    ),
    "past.colour.last": (
        "What colour was the last {shape} you saw?", "What colour was the last {shape}?",
        "Which colour was the latest {shape}?", "What was the colour of the last {shape}?",
        "The last {shape} you saw was what colour?", "What colour did the last {shape} have?",
    ),
    "past.shape": (
        "What shape was the {colour} object?", "What was the {colour} thing?", "Which shape was {colour}?",
        "What was the shape of the {colour} object?", "What {colour} shape did you see?",
        "What {colour} object was there?", "Which shape did the {colour} object have?",
    ),
    "past.shape.last": (
        "What shape was the last {colour} object you saw?", "What was the last {colour} thing?",
        "Which shape was the last {colour} object?", "What was the shape of the last {colour} object?",
        "The last {colour} object had what shape?", "What was the last {colour} shape you saw?",
    ),
    "past.place": (
        "Where was the {thing}?", "Where did you see the {thing}?", "In which place was the {thing}?",
        "What was the position of the {thing}?", "Tell me where the {thing} was.",
        "Do you remember where the {thing} was?", "Which part of the picture was the {thing} in?",
    ),
    "past.exists": (
        "Did you see a {thing}?", "Have you seen a {thing}?", "Was there a {thing}?", "Did a {thing} appear?",
        "Was a {thing} shown?", "Has there been a {thing}?", "Did you see a {thing} at any time?",
        "Did I show you a {thing}?",
    ),
    "audio.last": (
        "What did you hear last?", "Which sound did you hear last?", "What was the last sound?", "What was that sound?",
        "What's the last sound you heard?", "What did you just hear?", "Which sound came last?",
        "Tell me the last sound.", "What was the latest sound?",
    ),
    "audio.first": (
        "What did you hear first?", "Which sound did you hear first?", "What was the first sound?",
        "What's the first sound you heard?", "Which sound came first?", "Tell me the first sound.",
        "What sound was at the start?",
    ),
    "audio.before": (
        "Which sound came before the {sound}?", "What did you hear before the {sound}?",
        "What sound was before the {sound}?", "Before the {sound}, what did you hear?",
        "What was the sound before the {sound}?", "Which sound was just before the {sound}?",
    ),
    "audio.after": (
        "Which sound came after the {sound}?", "What did you hear after the {sound}?",
        "What sound followed the {sound}?", "After the {sound}, what did you hear?",
        "What was the sound after the {sound}?", "Which sound came next after the {sound}?",
    ),
    "audio.count": (
        "How many times did you hear {a_sound}?", "How often did you hear {a_sound}?",
        "How many times was there {a_sound}?", "Count how often you heard {a_sound}.",
        "How many times have you heard {a_sound}?", "How often was there {a_sound}?",
    ),
    "audio.total": (
        "How many sounds did you hear?", "How many sounds were there?", "Count the sounds.",
        "How many sounds have you heard?", "What's the number of sounds so far?", "How many sounds have there been?",
    ),
    "audio.exists": (
        "Did you hear {a_sound}?", "Was there {a_sound}?", "Have you heard {a_sound}?", "Did {a_sound} sound?",
        "Has there been {a_sound}?", "Could you hear {a_sound}?", "Was {a_sound} among the sounds?",
    ),
    "audio.list": (
        "What were the last three sounds?", "List the last three sounds in order.",
        "Which three sounds did you hear last?", "Name the last three sounds.",
        "Tell me the last three sounds you heard.", "What are the three latest sounds, in order?",
    ),
    "audio.all": (
        "Which sounds did you hear?", "What sounds have you heard?", "List the sounds you heard.", "What did you hear?",
        "Name all sounds in order.", "What have you heard so far?", "Tell me all the sounds.",
    ),
    "av.screen": (
        "What was on screen when {event}?", "What did you see when {event}?", "What was visible when {event}?",
        "What was there when {event}?", "When {event}, what was on screen?", "What was shown while {event}?",
        "Which objects were visible when {event}?",
    ),
    "av.screen.last": (
        "What was on screen the last time {event}?", "What did you see the last time {event}?",
        "What was visible when {event} last?", "The last time {event}, what was on screen?",
        "What was there the last time {event}?", "What was shown the last time {event}?",
    ),
    "av.sound": (
        "Which sound did you hear while the {thing} was visible?", "What did you hear while the {thing} was on screen?",
        "What sound was there with the {thing}?", "What did you hear when you saw the {thing}?",
        "While the {thing} was visible, what did you hear?", "Which sound came with the {thing}?",
        "What sound did you hear during the {thing}?",
    ),
    "describe": (
        "Describe the stream so far.", "What happened so far?", "Summarise the stream.", "What has happened?",
        "Describe what you saw and heard.", "Give me a summary.", "What have I missed?",
        "Tell me what happened lately.", "Can you sum up the stream?",
    ),
}  # fmt: skip

HELD_OUT: dict[str, tuple[str, ...]] = {
    "now.list": ("What objects are shown at the moment?", "Could you list what's visible?"),
    "now.colour": ("Could you name the colour of the {shape}?", "Which colour has the {shape} got?"),
    "now.colour.lone": ("Which colour is this one?", "Name the colour of the object."),
    "now.shape": ("Could you name the shape that is {colour}?", "The {colour} object is which shape?"),
    "now.shape.lone": ("Which shape is this one?", "Name the shape of the object."),
    "now.place": ("Whereabouts is the {thing}?", "Could you locate the {thing}?"),
    "now.count": ("How many objects can you count?", "Could you count the shapes?"),
    "now.count.shape": ("How many {shape}s can you count?", "Tell me how many {shape}s there are."),
    "now.count.colour": ("How many {colour} ones can you count?", "Tell me how many {colour} objects there are."),
    "now.motion": ("Can you say which way the {shape} moves?", "What direction is the {shape} heading in?"),
    "now.size": ("Would you say the {shape} is small or large?", "Small or large, how is the {shape}?"),
    "now.exists": ("Could there be a {thing} on the screen?", "Can a {thing} be seen?"),
    "past.first.shape": ("Which shape appeared first of all?", "Do you remember the first shape?"),
    "past.first.colour": ("Do you remember the first colour?", "Which colour had the first object?"),
    "past.first": ("What appeared first of all?", "Do you remember what came first?"),
    "past.before": ("What preceded the {thing}?", "Do you remember what was there before the {thing}?"),
    "past.after": ("What appeared after the {thing}?", "Do you remember what came after the {thing}?"),
    "past.colour": ("Can you recall the {shape}'s colour?", "Which colour did that {shape} have?"),
    "past.colour.last": ("Do you remember the colour of the last {shape}?", "The latest {shape} was which colour?"),
    "past.shape": ("Can you recall the shape of the {colour} object?", "The {colour} object was which shape?"),
    "past.shape.last": (
        "Do you remember the shape of the last {colour} object?", "The latest {colour} object was which shape?",
    ),
    "past.place": ("Whereabouts was the {thing}?", "Can you recall where the {thing} was?"),
    "past.exists": ("Did any {thing} show up?", "Do you remember seeing a {thing}?"),
    "audio.last": ("What was the most recent sound?", "Do you remember the last sound?"),
    "audio.first": ("What was the very first sound?", "Do you remember the first sound?"),
    "audio.before": ("What sound preceded the {sound}?", "Do you remember the sound before the {sound}?"),
    "audio.after": ("What sound came right after the {sound}?", "Do you remember the sound after the {sound}?"),
    "audio.count": ("How many times could you hear {a_sound}?", "Tell me how often there was {a_sound}."),
    "audio.total": ("How many sounds could you hear?", "Tell me how many sounds there were."),
    "audio.exists": ("Do you remember hearing {a_sound}?", "Could {a_sound} be heard?"),
    "audio.list": ("Which were the three most recent sounds?", "Do you remember the last three sounds?"),
    "audio.all": ("Which sounds were there?", "Could you list all the sounds?"),
    "av.screen": ("What could you see when {event}?", "Do you remember what was on screen when {event}?"),
    "av.screen.last": ("What could you see the last time {event}?", "When {event} the last time, what was shown?"),
    "av.sound": ("What could you hear while you saw the {thing}?", "Do you remember the sound during the {thing}?"),
    "describe": ("Could you describe everything so far?", "Sum up what you saw and heard."),
}  # fmt: skip

EVENTS: dict[str, tuple[str, ...]] = {
    "beep": ("the beep sounded", "you heard the beep", "it beeped"),
    "bell": ("the bell rang", "you heard the bell", "the bell sounded"),
    "buzz": ("the buzz sounded", "you heard the buzz", "it buzzed"),
    "chirp": ("the chirp sounded", "you heard the chirp", "it chirped"),
    "siren": ("the siren sounded", "you heard the siren", "the siren wailed"),
    "knock": ("the knock came", "you heard the knock", "someone knocked"),
    "noise": ("the noise came", "you heard the noise", "there was noise"),
    "horn": ("the horn sounded", "you heard the horn", "the horn blew"),
}

LEADS = ("um, ", "so, ", "hey, ", "okay, ", "please, ", "hi, ", "well, ", "and ", "now, ", "you ", "i' ")
"""What a speaker or a recogniser puts before a question; the last two are a recogniser's mistakes."""

TAILS = (", please", " please", ", then", ", exactly", " for me", ", if you know", " again", ", would you say")
"""What a speaker adds to a question."""
