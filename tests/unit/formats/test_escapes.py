"""What escapes stand for, and which were not meant."""

import pytest

from odflow.formats.escapes import advice, unescape


@pytest.mark.parametrize(
    ("raw", "malformed", "unknown", "odd"),
    [
        (r"C:\Users\me", r"\U is no escape (8 hexadecimal digits must follow)", r"\m is no escape", ""),
        (r"D:\xml", r"\x is no escape (1 or 2 hexadecimal digits must follow)", "", ""),
        (r"\unit", r"\u is no escape (4 hexadecimal digits must follow)", "", ""),
        (r"a\UFFFFFFFF", r"\UFFFFFFFF is no character", "", ""),
        (r"a\ud83d\ude00", r"\ud83d is no character", "", ""),
        (r"D:\2019\x1", "byte 0x81 is not UTF-8 text", "", r"\x1 stands for the control character 0x01"),
        (r"data\train.record", "", "", r"\t stands for a tab"),
        (r"pre\new", "", "", r"\n stands for a line end"),
        (r"C:\runs", "", "", r"\r stands for a line end"),
        (r"C:\Apps\backup", "", r"\A is no escape", r"\b stands for the control character 0x08"),
        (r"C:\videos", "", "", r"\v stands for the control character 0x0b"),
        (r"C:\frames", "", "", r"\f stands for the control character 0x0c"),
        (r"C:\apps", "", "", r"\a stands for the control character 0x07"),
        (r"C:\1_run", "", "", r"\1 stands for the control character 0x01"),
        (r"C:\0", "", "", r"\0 stands for a NUL"),
        (r"D:\100_images", "", "", r'\100 stands for "@"'),
        (r"C:\x64\bin", "", "", r'\x64 stands for "d"'),
        (r"C:\u0041", "", "", r'\u0041 stands for "A"'),
        (r"training\object.pbtxt", "", r"\o is no escape", ""),
        ("a\tb", "", "", "it holds a tab"),
        (r"C:\\Users\\new", "", "", ""),
        (r"caf\303\251, caf\u00e9, \'x\'", "", "", ""),
    ],
)
def test_what_was_not_meant_is_named(raw, malformed, unknown, odd):
    found = unescape(raw)
    assert (found.malformed, found.unknown, found.odd) == (malformed, unknown, odd)


@pytest.mark.parametrize("raw", [r"C:\new\x", "a\tb", r"a\1", "\x1b[0m\\n", "x" * 1000 + r"\n", "\\\n"])
def test_advice_holds_no_control_character(raw):
    assert advice(raw).isprintable()
    assert advice(raw) != ""


def test_advice_shows_both_ways_to_write_a_path():
    assert advice(r"C:\a\\b") == r'A backslash begins an escape: write "C:/a/b" or "C:\\a\\b".'
