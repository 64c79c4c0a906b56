"""Damage to files: texts and bytes that are nearly right, all drawn from a number."""

from __future__ import annotations

from random import Random

MARKS = (
    *"{}<>[]:;,=\"'\\#\n\t -.0/&*!|?%@`~",
    *("“", "”", "\u2019", "«", "\0", "\x1b", "\ufeff", "é", "😀", "\u2028", "\ud800", "\x85", "\u202e"),
    *(r"\U", r"\x", r"\u00e9", r"\ud800", r"\777", r"\8", r"\UFFFFFFFF", r"\t", "//", "/*", "<<: "),
    *("!!int ", "--- ", "&a ", "*a", "? ", "- ", "99999999999999999999", "-1", "1e400", "nan", "NaN"),
    *("Infinity", "-Infinity", "0x", "no", "null", "true", "007", "12:30:45", "2024-13-45", "C:\\Users\\"),
    *('"C:\\Users\\x" ', "{ " * 80, "[" * 80, "item {", "id: 1", "name:", "params:", "stages:", "${params."),
    *("<object>", "</object>", "<bndbox/>", "&amp;", "&#0;", "&a;", "<!--", "<![CDATA[", "<?pi?>"),
    *("encoding='gbk'", "encoding='utf-7'", "../", "/", "//", "a.jpg", "9" * 5000, '"', ",", "\r", "\r\n"),
)
"""What texts are made of, and what is easily written into them."""

PIECES = (b"\0", b"\0\0\0\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\x01\0")


def piece(random: Random) -> str:
    """A mark, or some characters."""
    if random.random() < 0.8:
        return random.choice(MARKS)
    return "".join(
        chr(random.randrange(random.choice([128, 0x500, 0x11000]))) for _ in range(random.randrange(6))
    )


def damaged(random: Random, text: str) -> str:
    """A text with some pieces left out, put in, doubled or moved."""
    for _ in range(random.randint(1, 4)):
        at, length = random.randint(0, len(text)), random.randint(0, 30)
        kept, rest, line = text[:at], text[at + length :], text[at:].partition("\n")
        changed = (
            kept + rest,
            kept + piece(random) + rest,
            kept + piece(random) + text[at:],
            kept + text[at : at + length] + text[at:],
            kept + line[0] + line[1] + text[at:],
            kept + line[2],
            rest + kept,
            kept,
        )
        text = random.choice(changed)
    return text


def text_of(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """A damaged text, mostly; else a text of marks, or bytes of no meaning."""
    kind = random.random()
    if kind < 0.05:
        return random.randbytes(random.randrange(200))
    if kind < 0.85:
        text = damaged(random, random.choice(seeds).decode())
    else:
        text = "".join(piece(random) for _ in range(random.randrange(30)))
    data = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        at = random.randint(0, len(data))
        data = data[:at] + random.randbytes(3) + data[at:]
    return text.encode(random.choice(["utf-16", "utf-32", "utf-8-sig"]), "replace") if kind < 0.08 else data


def bytes_of(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """Bytes of which some are changed, most of them near the beginning, put in, left out or cut off."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 4)):
        end = random.choice([len(data), min(len(data), 400)])
        at = random.randint(0, end)
        new = random.choice([random.choice(PIECES), random.randbytes(random.randint(1, 8))])
        how = random.random()
        if how < 0.7:
            data[at : at + len(new)] = new
        elif how < 0.8:
            data[at:at] = new
        elif how < 0.9:
            del data[at : at + len(new)]
        elif how < 0.95:
            data[at:at] = data[at : at + random.randint(1, 300)]
        else:
            del data[at:]
    return bytes(data)
