"""Related work is written once: the documentation has the list of the module."""

import re
from pathlib import Path

from dale_demo.theory.references import ABOUT_RELATED, REFERENCES, RELATED, related_work

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "related-work.md"


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_documentation_has_the_same_list():
    document = DOCUMENT.read_text(encoding="utf-8")
    assert words(related_work()) in words(document)
    assert words(ABOUT_RELATED) in words(document)


def test_each_work_has_one_sentence_and_its_own_address():
    for related in RELATED:
        sentences = re.sub(r"\bet al\.", "", related.relation)
        assert sentences.endswith("."), related.work.short
        assert sentences.count(". ") == 0, related.work.short
    addresses = [related.work.link for related in RELATED]
    assert len(set(addresses)) == len(addresses)
    shared = set(addresses) & {citation.link for citation in REFERENCES.values()}
    assert shared == {REFERENCES["cornford"].link}, "the rest is not what the theory builds on"
