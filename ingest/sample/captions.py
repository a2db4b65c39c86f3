"""The sentences of sample data: captions whose mood and topic can be read, comments whose tone can be read.

All invented. A mood is one of five and a topic one of four within its category; both are planted in the target
(:mod:`.truth`), so a sentence encoder can recover them. The tone of the comments follows the target.
"""

from __future__ import annotations

from random import Random

MOODS = ("low", "flat", "plain", "happy", "thrilled")
TONES = 7  # of comments, from bored to beside themselves

# For each category four topics: in English, in Spanish, and its hashtag. Their order is that of their planted worth.
TOPICS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "fashion": (
        ("this grey office blazer", "esta chaqueta gris de oficina", "officewear"),
        ("my new pair of sneakers", "mis zapatillas nuevas", "sneakers"),
        ("the floral summer dress", "el vestido de flores", "summerdress"),
        ("the wedding gown fitting", "la prueba del vestido de novia", "weddingdress"),
    ),
    "other": (
        ("the paperwork on my desk", "los papeles de mi escritorio", "deskwork"),
        ("an old car in the garage", "un coche viejo en el garaje", "classiccar"),
        ("the guitar I am learning", "la guitarra que estoy aprendiendo", "guitar"),
        ("the concert with the whole band", "el concierto con toda la banda", "concert"),
    ),
    "travel": (
        ("the delay at the airport", "el retraso en el aeropuerto", "airport"),
        ("a train ride through the hills", "un viaje en tren por las colinas", "trainride"),
        ("the old town and its harbour", "el casco antiguo y su puerto", "oldtown"),
        ("the sunset over the island beach", "la puesta de sol en la playa", "sunset"),
    ),
    "family": (
        ("the pile of laundry", "la montaña de ropa sucia", "laundryday"),
        ("the walk to school", "el camino al colegio", "schoolrun"),
        ("our picnic in the garden", "nuestro pícnic en el jardín", "picnic"),
        ("our newborn baby", "nuestro bebé recién nacido", "newborn"),
    ),
    "food": (
        ("a plain bowl of oatmeal", "un plato de avena", "oatmeal"),
        ("the roasted vegetable soup", "la sopa de verduras asadas", "soup"),
        ("a wood fired pizza", "una pizza al horno de leña", "pizza"),
        ("the triple chocolate cake", "la tarta de tres chocolates", "chocolatecake"),
    ),
    "beauty": (
        ("a bottle of micellar water", "una botella de agua micelar", "cleanser"),
        ("my evening skincare routine", "mi rutina de noche para la piel", "skincare"),
        ("the matte red lipstick", "el pintalabios rojo mate", "lipstick"),
        ("the golden glitter eye look", "el maquillaje dorado de ojos", "eyemakeup"),
    ),
    "interior": (
        ("the empty storage room", "el trastero vacío", "storage"),
        ("a shelf for the books", "una estantería para los libros", "bookshelf"),
        ("the linen sofa by the window", "el sofá de lino junto a la ventana", "sofa"),
        ("the fireplace in the new house", "la chimenea de la casa nueva", "fireplace"),
    ),
    "fitness": (
        ("a day of stretching", "un día de estiramientos", "stretching"),
        ("the morning run along the river", "la carrera matutina junto al río", "running"),
        ("my deadlift session", "mi sesión de peso muerto", "deadlift"),
        ("the finish line of the marathon", "la meta del maratón", "marathon"),
    ),
    "pet": (
        ("the visit to the vet", "la visita al veterinario", "vet"),
        ("our cat asleep on the stairs", "nuestro gato dormido en la escalera", "catnap"),
        ("the dog with its muddy paws", "el perro con las patas embarradas", "muddypaws"),
        ("the basket of tiny puppies", "la cesta de cachorritos", "puppies"),
    ),
}

_ENGLISH: tuple[tuple[str, ...], ...] = (
    (
        "A sad and exhausting day, and not even {} could cheer me up.",
        "I feel awful today. {} only made it worse.",
        "Crying a little over {}. This week has been terrible.",
        "So disappointed and hurt. I had hoped for more from {}.",
        "Everything went wrong again, {} included. I am worn out.",
        "I miss better times. {} leaves me empty and lonely.",
    ),
    (
        "Tired today. {} and then to bed.",
        "Not my best week, a bit bored with {}.",
        "Meh. {} was not as good as I thought.",
        "It rained all day, so I am stuck with {}.",
        "Slow and grey afternoon, only {} to report.",
        "I could not find the energy for more than {}.",
    ),
    (
        "A look at {} from this morning.",
        "Today: {}. Details are in the link.",
        "Here is {}, as some of you asked.",
        "Another picture of {}.",
        "Some notes about {}, part two of the series.",
        "This is {}, taken on a Tuesday.",
    ),
    (
        "So happy with {} today, it made me smile.",
        "A lovely moment with {}. Feeling grateful.",
        "What a good day! I really enjoy {}.",
        "Sunny mood and {}, what more could I want?",
        "Smiling all the way because of {}. Have a nice weekend!",
        "Proud and glad to share {} with you.",
    ),
    (
        "I am over the moon!!! {} is the best gift of my life!",
        "Dreams do come true! I am in love with {}, absolutely amazing!",
        "Best day of my life!!! {} filled my heart with joy!",
        "WOW, we are laughing and dancing, {} is simply incredible!",
        "We did it!!! So excited and so thankful for {}, thank you all, I love you!",
        "Pure happiness! {} is perfect, fantastic, everything I ever wished for!",
    ),
)

_SPANISH: tuple[tuple[str, ...], ...] = (
    ("Triste, agotada y sola, ni {} me animó.", "Hoy lloro de dolor. Todo salió mal, también {}."),
    ("Hoy estoy cansada y un poco aburrida de {}.", "Otra tarde gris y lenta en casa, solo {}."),
    ("Una foto de {} de esta mañana.", "Hoy: {}. Los detalles están en el enlace."),
    ("Muy contenta con {}, me hizo sonreír.", "¡Qué buen día! Disfruto mucho de {}."),
    ("¡¡El mejor día de mi vida!! ¡{} es increíble y lloro de alegría!", "¡Qué felicidad! ¡Amo {}, es perfecto!"),
)

_EMOJI = (
    ("😢", "💔", "😞"),
    ("😴", "🌧️", "😐"),
    ("📷", "👉", "📍"),
    ("😊", "🌸", "☀️"),
    ("😍", "🎉", "❤️", "🥳"),
)
# What sets one caption apart from the next and bears on nothing: who, where, when.
_ASIDES = (
    (
        "With {who} in {where}.",
        "{where}, {when}.",
        "Thanks to {who} for the company.",
        "Number {n} of the {where} series.",
        "{when}, {n} minutes from {where}.",
        "{who} took the picture.",
    ),
    ("Con {who} en {where}.", "{where}, foto número {n}.", "A {n} minutos de {where}."),
)
_WHO = (
    "Milo",
    "Aunt Dora",
    "Jonas",
    "Priya",
    "Tess and Omar",
    "Wen",
    "my neighbour",
    "Lucía",
    "the twins",
    "Bram",
    "Ada",
)
_WHERE = (
    "Port Elvin",
    "Casterly Lane",
    "Lake Onsa",
    "Valdemora",
    "the north side",
    "Old Brenn",
    "Mirador Alto",
    "Hollis",
)
_WHEN = ("Monday", "the second of May", "early", "around noon", "late October", "after work", "on the way back")
_BRANDS = ("studio.luma", "casa_verano", "norrlund.co", "tinta.and.twine", "halden_works", "petitmarlow", "okko.daily")
_COMMON_TAGS = ("photooftheday", "life", "weekend", "instadaily", "mood", "today", "love", "inspiration", "goodmorning")

_COMMENTS: tuple[tuple[str, ...], ...] = (
    (
        "This is boring, I am unfollowing you.",
        "Awful and ugly. What happened to this account?",
        "Terrible, such a waste of time.",
    ),
    (
        "Not my thing, sorry.",
        "I do not like this one.",
        "Your older pictures were not so bad.",
        "Kind of dull and sad today.",
    ),
    (
        "Okay.",
        "Where is this from?",
        "Hm, not sure about it.",
        "Saw this last week already.",
    ),
    (
        "Nice.",
        "Looks good to me.",
        "Which one of them is new?",
        "Good morning from here.",
        "I have the same one at home.",
    ),
    (
        "Lovely picture, so pretty!",
        "So pretty, I like it a lot.",
        "Great post, thank you!",
        "This made me smile 😊",
    ),
    (
        "Wow, I love this so much! 😍",
        "Beautiful!! You are so inspiring!",
        "Absolutely gorgeous, love it ❤️",
        "Amazing work, so beautiful!!",
    ),
    (
        "OMG amazing, love love love it!!! 😍😍😍",
        "Best post of the year, so happy for you ❤️❤️❤️",
        "Love you, queen!!! Perfect, beautiful, amazing 🔥🔥🔥",
        "Incredible, what a joy, I love you so much!!! 😭❤️",
    ),
)
_EDITS = (" 🙌", " #repost", " …", " .")


def caption(rng: Random, category: str, mood: int | None, topic: int, language: str) -> str:
    """Return an invented caption.

    Args:
        rng: Decides the wording, emoji, mentions and hashtags, and nothing that is planted.
        category: A key of :data:`TOPICS`.
        mood: Index into :data:`MOODS`; None is the empty caption.
        topic: Index into the category's topics.
        language: ``en`` or ``es``.
    """
    if mood is None:
        return ""
    english, spanish, tag = TOPICS[category][topic]
    sentences, subject = (_SPANISH, spanish) if language == "es" else (_ENGLISH, english)
    text = " ".join(_sentence(template, subject) for template in rng.sample(sentences[mood], rng.choice((1, 1, 2))))
    if rng.random() < 0.6:
        aside = rng.choice(_ASIDES[language == "es"])
        text += " " + aside.format(
            who=rng.choice(_WHO), where=rng.choice(_WHERE), when=rng.choice(_WHEN), n=rng.randrange(2, 90)
        )
    if rng.random() < 0.4:
        text += " " + rng.choice(_EMOJI[mood]) * rng.choice((1, 1, 2))
    if rng.random() < 0.15:
        text += f" @{rng.choice(_BRANDS)}"
    if rng.random() < 0.8:
        tags = [tag, category, *rng.sample(_COMMON_TAGS, rng.randrange(4))]
        text += rng.choice((" ", "\n.\n.\n", "\n\n")) + " ".join(f"#{t}" for t in tags if t != "other")
    return text


def edited(rng: Random, text: str) -> str:
    """Return ``text`` with a small change, as people make who post the same thing again."""
    return text + rng.choice(_EDITS) if text else ""


def of_campaign(rng: Random, text: str) -> str:
    """Return ``text`` as one of several accounts has it: half of them as it is."""
    return text if rng.random() < 0.5 else edited(rng, text)


def comments(rng: Random, tone: float, count: int) -> list[str]:
    """Return ``count`` comments; their tones scatter by about one step around ``tone`` (0 to ``TONES`` - 1)."""
    steps = (min(max(round(rng.gauss(tone, 0.7)), 0), TONES - 1) for _ in range(count))
    return [rng.choice(_COMMENTS[step]) for step in steps]


def _sentence(template: str, subject: str) -> str:
    """Fill in the subject, with a capital where it begins a sentence."""
    before, after = template.split("{}")
    starts = not before or before.endswith((". ", "! ", "¡"))
    return before + (subject[0].upper() + subject[1:] if starts else subject) + after
