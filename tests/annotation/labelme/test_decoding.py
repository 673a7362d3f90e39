from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator

import pytest

from annotation.labelme.decoding import MOST_OBJECTS, decode_json, known_words

# words in several languages, by the Windows code page of the language
WORDS = {
    "cp1252": ["Gebäude", "Tür", "façade", "straße", "fenêtre"],
    "gb18030": ["窗户", "汽车", "建筑物", "交通锥", "门"],
    "gbk": ["阳台", "行人", "树"],
    "cp932": ["窓", "自動車", "カラーコーン", "とびら", "表示"],
    "cp949": ["창문", "자동차", "발코니", "사람"],
    "cp950": ["窗戶", "陽台", "建築物"],
    "cp1251": ["окно", "машина", "Здание", "ёлка"],
    "cp1250": ["střecha", "światło", "łóżko"],
}
OF_MANY_PAGES = ["é", "窗", "か", "창", "о"]  # more known words, from several code pages


def labelme_file(label: str, photo: str, page: str) -> bytes:
    shape = {"label": label, "points": [[1, 2], [3, 4], [5, 6]], "group_id": None}
    value = {"imagePath": f"..\\images\\{photo}", "shapes": [shape]}
    return json.dumps(value, ensure_ascii=False, indent=2).encode(page)


@pytest.fixture
def usual_recursion() -> Iterator[None]:
    """The interpreter's own limit, which torch's compiler doubles for the whole process."""
    found = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(found)


@pytest.mark.parametrize(
    ("page", "word"), [(p, word) for p, words in WORDS.items() for word in words]
)
def test_a_known_label_identifies_the_code_page(page: str, word: str) -> None:
    known = known_words([word, *OF_MANY_PAGES])
    decoded = decode_json(labelme_file(word, "a.jpg", page), known=known)
    assert decoded.value["shapes"][0]["label"] == word
    assert decoded.encoding != "utf-8"


@pytest.mark.parametrize(
    ("page", "word"), [(p, word) for p, words in WORDS.items() for word in words]
)
def test_a_known_photo_name_identifies_the_code_page(page: str, word: str) -> None:
    known = known_words([f"{word.upper()} 1.jpg", *OF_MANY_PAGES])  # Windows ignores case
    decoded = decode_json(labelme_file("box", f"{word} 1.jpg", page), known=known)
    assert decoded.value["imagePath"] == f"..\\images\\{word} 1.jpg"


@pytest.mark.parametrize("page", [p for p in WORDS if p not in ("gbk", "cp1250")])
def test_several_words_of_a_language_suffice_to_recognise_its_code_page(page: str) -> None:
    text = labelme_file(" ".join(WORDS[page]), f"{WORDS[page][0]}.jpg", page)
    assert decode_json(text).encoding == page


def test_a_known_word_takes_precedence_over_a_better_fit() -> None:
    data = labelme_file("窗户", "a.jpg", "gbk")
    assert decode_json(data).encoding == "cp949"  # these bytes are also common hangul
    assert decode_json(data, known=known_words(["窗户"])).encoding == "gb18030"


def test_names_in_another_unicode_form_are_known() -> None:
    known = known_words(["Gebäude"])  # as macOS stores the names of files
    assert decode_json(labelme_file("Gebäude", "a.jpg", "cp1252"), known=known).encoding == "cp1252"


@pytest.mark.parametrize(
    ("mark", "page", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (b"", "utf-8", "utf-8"),
    ],
)
def test_byte_order_marks(mark: bytes, page: str, encoding: str) -> None:
    decoded = decode_json(mark + labelme_file("窗户 Tür", "a.jpg", page))
    assert decoded.encoding == encoding
    assert decoded.value["shapes"][0]["label"] == "窗户 Tür"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"a": 1, "b": [{"c": 2}], "d": [[1, 2], [3, 4]]}', ()),
        ('{"a": [{"b": 1}, 2, [], null, "c", [3]]}', ()),
        ("3", ()),
        ('{"a": 1, "a": 2}', ("a",)),
        ('{"a" : 1, "a" : 2, "b" : 3}', ("a",)),
        ('{"s": [[1, 2], {"x": 1, "y": 2, "x": 3, "y": 4}]}', ("x", "y")),
        ('{"a": "\\"b\\":"}', ()),  # only looks like a key
    ],
)
def test_repeated_keys_are_reported(text: str, keys: tuple[str, ...]) -> None:
    assert decode_json(text.encode()).repeated_keys == keys


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}'])
def test_values_that_only_python_writes_are_read(text: str) -> None:
    assert isinstance(decode_json(text.encode()).value["a"], float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": ', "truncated"),
        (b"", "truncated"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 980 + b"]" * 980, "nested too deeply"),
        (b'{"a":' * 490 + b"[" * 490 + b"]" * 490 + b"}" * 490, "nested too deeply"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
        (b"\xff\xfe\x00", "utf-16"),
        (b'{"a": "\x81\xff\x98"}', "neither UTF-8 nor"),
        (b"[" + b"{}," * (MOST_OBJECTS + 1), "at most"),
        (b"[" + b"1," * 6_000_000, "at most"),
    ],
)
def test_errors_are_one_line(data: bytes, message: str, usual_recursion: None) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        decode_json(data)
    assert "\n" not in str(caught.value)


def test_guessing_is_linear() -> None:
    long = b'{"a": "' + b"x" * 3_000_000 + b'\xe4"}'
    assert decode_json(long).encoding == "cp1252"
