from __future__ import annotations

import pytest

from base.naming import Names, printable, readable_stem


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("IMG_0001.JPG", "IMG_0001"),
        ("holiday/IMG 1.jpg", "holiday_IMG 1"),
        ("Ferien\\Zürich\\Straße.jpg", "Ferien_Zürich_Straße"),
        ("写真/東京.png", "写真_東京"),
        ("Zu\u0308rich.jpg", "Zürich"),  # as macOS stores it
        ("../../etc/passwd.jpg", "etc_passwd"),
        ("/home/anna/a.jpg", "home_anna_a"),
        ("C:\\Users\\a.jpg", "Users_a"),
        ("C:a.jpg", "C_a"),
        ('a<b>"c|d?e*f.jpg', "a_b__c_d_e_f"),
        ("a\nb\tc\x1b[31m.jpg", "a_b_c_[31m"),
        ("\u202egpj.exe.jpg", "_gpj.exe"),
        ("half\udc80.jpg", "half_"),
        ("a.b.jpg", "a.b"),
        ("trailing. /name . .jpg", "trailing_name"),
        ("CON.jpg", "_CON"),
        ("nul.tar.jpg", "_nul.tar"),
        ("com1/x.jpg", "com1_x"),
        ("concert.jpg", "concert"),
        ("....jpg", "photo"),
        ("", "photo"),
    ],
)
def test_stems_are_readable_and_portable(path: str, stem: str) -> None:
    assert readable_stem(path) == stem


def test_long_names_keep_their_end() -> None:
    assert readable_stem("folder/" * 60 + "IMG_1.jpg").endswith("folder_IMG_1")
    for path in ("folder/" * 60 + "a.jpg", "ü" * 300 + ".jpg"):
        assert len(readable_stem(path).encode()) <= 180


def test_stems_are_unique_regardless_of_case() -> None:
    names = Names(["Old"])
    wanted = ["old", "a", "A", "a", "a-2", "Straße", "STRASSE"]
    taken = [names.take(stem) for stem in wanted]
    assert taken == ["old-2", "a", "A-2", "a-3", "a-2-2", "Straße", "STRASSE-2"]


def test_printable_keeps_letters_and_replaces_control_characters() -> None:
    assert printable("Zürich/👩\u200d🚀\x1b[2J\u2028\udcff") == "Zürich/👩\u200d🚀_[2J__"
