"""What customers read: every template with every event, in both languages, and templates of one's own."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from eventbus.model.errors import Misconfigured
from schemas import InventoryFailed, Item, OrderConfirmed, OrderCreated, PaymentFailed
from schemas.money import EXPONENTS, decimal_text
from services.notification.letters import MAX_SUBJECT, OWN, Letters
from services.notification.request import Input
from services.notification.samples import KINDS, SAMPLES

UTC = ZoneInfo("UTC")
LETTERS = Letters(None, "en", UTC)
CONFIRMED = OrderConfirmed(order_id="o1", user_id="u1", total_amount=123_456, currency="EUR")
SUBJECTS = {
    "en": {
        "OrderCreated": "We received your order",
        "PaymentFailed": "The payment for your order",
        "InventoryFailed": "We cannot deliver your order",
        "OrderConfirmed": "is confirmed",
        "OrderCancelled": "was cancelled",
        "OrderCompleted": "is complete",
        "OrderFailed": "has ended",
    },
    "de": {
        "OrderCreated": "Wir haben Ihre Bestellung",
        "PaymentFailed": "Die Zahlung Ihrer Bestellung",
        "InventoryFailed": "nicht liefern",
        "OrderConfirmed": "ist bestätigt",
        "OrderCancelled": "wurde storniert",
        "OrderCompleted": "ist abgeschlossen",
        "OrderFailed": "ist beendet",
    },
}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_template_with_every_event(language: str, sample: Input) -> None:
    letter = LETTERS.render(sample, language)
    assert letter.language == language
    assert SUBJECTS[language][sample.name] in letter.subject and "\n" not in letter.subject
    for part in (letter.subject, letter.text, letter.html):
        assert sample.order_id in part
        assert not re.search(r"\bNone\b|\{\{|\{%|\}\}|%\}", part), part
    assert letter.html.startswith("<!doctype html>") and f'<html lang="{language}">' in letter.html
    assert "\n\n\n" not in letter.text


def test_every_kind_of_event_has_a_sample_with_and_without_what_may_be_missing() -> None:
    assert set(KINDS) == set(SUBJECTS["en"])


def test_the_words_of_an_order_in_both_languages() -> None:
    created = OrderCreated(
        order_id="o1",
        user_id="u1",
        items=(Item(product_id="cup", quantity=1200, unit_price=255),),
        currency="EUR",
        total_amount=306_000,
        timestamp=1_767_607_200_000,
    )
    english, german = (LETTERS.render(created, tag).text.replace("\xa0", " ") for tag in ("en", "de"))
    assert "1,200 × cup at €2.55: €3,060.00" in english and "January 5, 2026" in english
    assert "1.200 × cup zu 2,55 €: 3.060,00 €" in german and "5. Januar 2026" in german


def test_times_are_those_of_the_time_zone_that_is_set() -> None:
    event = replace(CONFIRMED, timestamp=1_767_607_200_000)
    assert "11:00:00" in Letters(None, "de", ZoneInfo("Europe/Berlin")).render(event, None).text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_the_customer_reads_the_amount_that_the_order_shows_in_every_currency(
    currency: str, language: str
) -> None:
    text = LETTERS.render(replace(CONFIRMED, currency=currency), language).text
    digits = decimal_text(123_456, currency).replace(".", "")
    assert digits in re.sub(r"[.,’\s]", "", text)
    exponent = EXPONENTS[currency]
    decimals = re.search(r"\d[.,](\d+)\D*(?: is confirmed| ist bestätigt)", text)
    assert exponent == 0 or (decimals and len(decimals[1]) == exponent), text


@pytest.mark.parametrize(
    ("tag", "written_in", "amount"),
    [
        ("de", "de", "1.234,56 €"),
        ("DE-ch", "de", "EUR 1'234.56"),
        ("de-AT-1996", "de", "1.234,56 €"),
        ("en-GB", "en", "€1,234.56"),
        ("fr", "en", "€1,234.56"),
        ("xx", "en", "€1,234.56"),
        (None, "en", "€1,234.56"),
    ],
)
def test_a_language_is_the_nearest_that_there_are_texts_in(
    tag: str | None, written_in: str, amount: str
) -> None:
    letter = LETTERS.render(CONFIRMED, tag)
    assert letter.language == written_in
    digits = re.sub(r"[^\d.,']", "", amount)
    assert digits in letter.text


@pytest.mark.parametrize(
    "text", ["a\nBcc: b@c", "<script>alert(1)</script>", "{{ 7*7 }}", "a\u2028b", "\x1b[2J"]
)
def test_no_text_of_an_event_forges_a_line_or_a_tag(text: str) -> None:
    event = InventoryFailed(
        order_id=text, user_id="u", product_id=text, quantity=1, available_qty=0, reason=text
    )
    letter = LETTERS.render(event, "en")
    assert letter.subject.isprintable() and "<script>" not in letter.html and "49" not in letter.text
    for part in (letter.text, letter.html):
        assert part.replace("\n", "").isprintable()
    assert "\nBcc" not in letter.text


def test_a_long_text_makes_no_long_subject_and_an_order_of_many_lines_no_long_mail() -> None:
    long = LETTERS.render(PaymentFailed(order_id="o" * 100_000, user_id="u", reason="x"), "en")
    assert len(long.subject) == MAX_SUBJECT
    items = tuple(Item(product_id=f"p{n}", quantity=1, unit_price=1) for n in range(2_000))
    many = LETTERS.render(OrderCreated(order_id="o", user_id="u", items=items, currency="GBP"), "en")
    assert "and 1900 more lines" in many.text and len(many.html) < 50_000


# Templates of one's own


def own(tmp_path: Path, language: str, **files: str) -> Path:
    (tmp_path / language).mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / language / name.replace("_", ".")).write_text(text)
    return tmp_path


def test_a_file_of_ones_own_goes_first_and_the_others_stay(tmp_path: Path) -> None:
    letters = Letters(
        own(tmp_path, "en", OrderConfirmed_txt="Hooray {{ order_id }}\n\nAll for {{ total }}."), "en", UTC
    )
    assert letters.render(CONFIRMED, "en").subject == "Hooray o1"
    assert letters.render(CONFIRMED, "en").text == "All for €1,234.56.\n"
    assert "is confirmed" in letters.render(CONFIRMED, "en").html
    assert "bestätigt" in letters.render(CONFIRMED, "de").subject


def test_a_layout_of_ones_own_serves_every_language(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text(
        "<b>Shop</b>{% block title %}{% endblock %}{% block body %}{% endblock %}"
    )
    letters = Letters(tmp_path, "en", UTC)
    for tag in ("en", "de"):
        assert letters.render(CONFIRMED, tag).html.startswith("<b>Shop</b>")


def test_a_language_of_ones_own_has_all_texts(tmp_path: Path) -> None:
    shutil.copytree(OWN / "en", tmp_path / "fr")
    own(tmp_path, "fr", OrderConfirmed_txt="Merci\n\n{{ total }}")
    letter = Letters(tmp_path, "fr", UTC).render(CONFIRMED, "fr-CA")
    assert (letter.language, letter.subject) == ("fr", "Merci")
    (tmp_path / "fr" / "OrderFailed.html").unlink()
    with pytest.raises(Misconfigured, match=r"fr lacks OrderFailed\.html: every language has all texts"):
        Letters(tmp_path, "en", UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("S\n\n{{ order_id", r"en/OrderConfirmed\.txt: line 3: TemplateSyntaxError"),
        (
            "S\n\n{{ orderid }}",
            r"the texts of OrderConfirmed: line 3: UndefinedError: 'orderid' is undefined",
        ),
        ("S\n\n{{ total + 1 }}", r"the texts of OrderConfirmed: line 3: TypeError"),
        ("S\n\n{{ ''.__class__.__mro__ }}", r"SecurityError"),
        ("S\n\n{% include 'nothing.txt' %}", r"TemplateNotFound"),
        ("S\n\n{% include '../../secret' %}", r"TemplateNotFound"),
        ("\n\n", "must not be empty"),
        ("only a subject", "must not be empty"),
    ],
)
def test_a_template_that_fails_is_found_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        Letters(own(tmp_path, "en", OrderConfirmed_txt=text), "en", UTC)


@pytest.mark.parametrize("name", ["english", "xx", "en_GB"])
def test_a_folder_that_names_no_language_is_found_at_the_start(tmp_path: Path, name: str) -> None:
    shutil.copytree(OWN / "en", tmp_path / name)
    with pytest.raises(Misconfigured, match="is named by its language"):
        Letters(tmp_path, "en", UTC)


def test_a_default_language_without_texts_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(
        Misconfigured, match="NOTIFICATION_LANGUAGE=fr: there are no texts in it, only in de, en"
    ):
        Letters(None, "fr", UTC)
    with pytest.raises(Misconfigured, match="is no folder"):
        Letters(tmp_path / "nothing", "en", UTC)
