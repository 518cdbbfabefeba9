"""What the simulated world is made of: people, notes, settings, shops, goods, songs; each has its colour and icon."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing a person tells from its neighbours by icon and colour, not by reading."""

    icon: str
    fill: str


# twelve hues that stay apart when the screen is squashed to 96 x 96
RED, ORANGE, AMBER, LIME, GREEN, TEAL = "#e53935", "#fb8c00", "#fdd835", "#9ccc3c", "#2e9e48", "#00a59a"
CYAN, BLUE, INDIGO, VIOLET, PINK, BROWN = "#29b6f6", "#1e66d0", "#3b3fa8", "#8e3cc4", "#f06aa6", "#7a5136"
GOLD, GREY, INK = "#d99100", "#78838f", "#20262e"

PEOPLE = {
    "Alice": Entity("face1", RED),
    "Ben": Entity("face2", BLUE),
    "Carla": Entity("face3", GREEN),
    "David": Entity("face4", ORANGE),
    "Emma": Entity("face1", VIOLET),
    "Frank": Entity("face2", TEAL),
    "Grace": Entity("face3", PINK),
    "Henry": Entity("face4", INDIGO),
    "Irene": Entity("face1", BROWN),
    "Jack": Entity("face2", AMBER),
    "Kate": Entity("face3", CYAN),
    "Leo": Entity("face4", LIME),
    "Maria": Entity("face1", INK),
    "Noah": Entity("face2", GREY),
    "Olivia": Entity("face3", "#a01648"),
    "Peter": Entity("face4", "#0b5d4e"),
}
PHONES = tuple(f"555-01{n:02d}" for n in (10, 23, 37, 42, 58, 61, 74, 89))

NOTES = {
    "Groceries": (Entity("basket", GREEN), "milk, bread, apples"),
    "Ideas": (Entity("bulb", AMBER), "an app for plants"),
    "Travel": (Entity("plane", CYAN), "passport, tickets"),
    "Work": (Entity("case", BROWN), "send the report"),
    "Gym": (Entity("weight", RED), "legs on monday"),
    "Books": (Entity("book", INDIGO), "read the sea novel"),
    "Movies": (Entity("film", INK), "watch the space film"),
    "Garden": (Entity("leaf", LIME), "water the roses"),
    "Budget": (Entity("coin", ORANGE), "rent and power"),
    "Gifts": (Entity("gift", PINK), "scarf for mum"),
    "School": (Entity("cap", VIOLET), "maths homework"),
    "Recipes": (Entity("pot", TEAL), "tomato soup"),
}
PLAIN_NOTE = Entity("lines", GREY)

SENTENCES = (
    "see you soon",
    "i am on my way",
    "happy birthday",
    "call me later",
    "good morning",
    "thank you so much",
    "dinner at seven",
    "meeting moved to noon",
    "please bring water",
    "the door is open",
    "good luck today",
    "where are you",
)
MEMOS = (
    "buy milk",
    "pay the rent",
    "book a flight",
    "fix the bike",
    "wash the car",
    "feed the cat",
    "print the tickets",
    "order new shoes",
    "clean the kitchen",
    "water the plants",
    "return the books",
    "renew the passport",
)
QUERIES = (
    "pizza near me",
    "weather tomorrow",
    "train to boston",
    "how to tie a tie",
    "cheap flights",
    "soup recipe",
    "movie times",
    "learn spanish",
    "running shoes",
    "moon phase today",
    "football score",
    "coffee shops",
    "best hiking trails",
    "jazz music",
    "paint a wall",
    "history of rome",
)

SECTIONS: dict[str, tuple[Entity, tuple[str, ...]]] = {
    "network": (Entity("wifi", BLUE), ("wifi", "mobile data", "airplane mode", "hotspot")),
    "devices": (Entity("bluetooth", INDIGO), ("bluetooth", "nfc", "screen cast")),
    "display": (Entity("sun", GOLD), ("dark mode", "night light", "auto rotate")),
    "sound": (Entity("speaker", PINK), ("do not disturb", "vibration", "touch sounds")),
    "battery": (Entity("battery", GREEN), ("battery saver", "battery percentage")),
    "location": (Entity("pin", RED), ("location", "wifi scanning")),
    "privacy": (Entity("lock", TEAL), ("camera access", "microphone access", "screen lock")),
    "notifications": (Entity("bell", LIME), ("notification dots", "bubbles")),
    "accessibility": (Entity("person", VIOLET), ("large text", "screen reader")),
    "about": (Entity("info", GREY), ()),
}
TOGGLES: dict[str, Entity] = {
    "wifi": Entity("wifi", BLUE),
    "mobile data": Entity("bars", GREEN),
    "airplane mode": Entity("plane", ORANGE),
    "hotspot": Entity("ring", VIOLET),
    "bluetooth": Entity("bluetooth", BLUE),
    "nfc": Entity("waves", TEAL),
    "screen cast": Entity("tv", RED),
    "dark mode": Entity("moon", INDIGO),
    "night light": Entity("bulb", ORANGE),
    "auto rotate": Entity("rotate", TEAL),
    "do not disturb": Entity("minus", RED),
    "vibration": Entity("waves", INDIGO),
    "touch sounds": Entity("music", GREEN),
    "battery saver": Entity("leaf", GREEN),
    "battery percentage": Entity("battery", CYAN),
    "location": Entity("pin", RED),
    "wifi scanning": Entity("search", BLUE),
    "camera access": Entity("camera", INK),
    "microphone access": Entity("mic", RED),
    "screen lock": Entity("lock", TEAL),
    "notification dots": Entity("dots", ORANGE),
    "bubbles": Entity("bubble", BLUE),
    "large text": Entity("text", VIOLET),
    "screen reader": Entity("speaker", TEAL),
}
SECTION_OF = {name: section for section, (_, names) in SECTIONS.items() for name in names}
BRIGHTNESS = ("low", "medium", "high")
VOLUME = ("mute", "low", "high")
WALLPAPERS = {
    "blue": ("#2b5fb0", "#7fb4f0"),
    "green": ("#1f6f4a", "#8fd6a0"),
    "red": ("#8d2036", "#f08a80"),
    "purple": ("#4b2a86", "#c09af0"),
    "orange": ("#b35a12", "#ffc978"),
    "gray": ("#3c444e", "#a9b4c0"),
}


@dataclass(frozen=True, slots=True)
class Shop:
    label: str
    icon: str
    fill: str
    ink: str
    """Colour of the mark and the name on the fill."""
    accent: str
    """Colour of what belongs to the shop on a white page."""

    @property
    def domain(self) -> str:
        return f"{self.label}.com"


SHOPS = {
    shop.label: shop
    for shop in (
        Shop("bestbuy", "tag", "#0a4abf", "#ffe000", "#0a4abf"),
        Shop("costco", "stripes", "#d81f3a", "#ffffff", "#d81f3a"),
        Shop("ebay", "fourdots", "#dde5ee", "#0064d2", "#0064d2"),
        Shop("newegg", "egg", "#f7941d", "#5b2b00", "#f7941d"),
        Shop("target", "ring", "#a3000f", "#ffffff", "#a3000f"),
        Shop("walmart", "spark", "#27a0e8", "#ffc220", "#27a0e8"),
    )
}
ITEMS = {
    "laptop": GREY,
    "headphones": VIOLET,
    "keyboard": INDIGO,
    "mouse": TEAL,
    "monitor": INK,
    "phone": BLUE,
    "tablet": CYAN,
    "camera": BROWN,
    "printer": GREEN,
    "speaker": ORANGE,
    "tv": RED,
    "router": LIME,
    "blender": PINK,
    "toaster": AMBER,
    "kettle": TEAL,
    "lamp": AMBER,
    "chair": BROWN,
    "desk": ORANGE,
    "backpack": GREEN,
    "watch": INK,
    "drone": CYAN,
    "microphone": RED,
    "vacuum": VIOLET,
    "guitar": BROWN,
}
BRANDS = ("Nova", "Orbit", "Polar", "Vertex", "Zephyr", "Acme")
SITES = {
    "wikipedia.org": Entity("globe", GREY),
    "weather.com": Entity("cloud", CYAN),
    "news.com": Entity("lines", RED),
    "maps.com": Entity("pin", GREEN),
    "recipes.com": Entity("pot", ORANGE),
    "music.com": Entity("music", PINK),
    "travel.com": Entity("plane", INDIGO),
    "sports.com": Entity("ball", LIME),
}
SONGS = {
    "Sunrise": Entity("sun", ORANGE),
    "Ocean": Entity("waves", BLUE),
    "Forest": Entity("leaf", GREEN),
    "Night Drive": Entity("moon", INK),
    "Candy": Entity("spark", PINK),
    "Desert": Entity("minus", AMBER),
    "Rain": Entity("cloud", CYAN),
    "Fire": Entity("pot", RED),
}
