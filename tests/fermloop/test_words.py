"""Every text of the campaign's page is in both languages; none is missing, none is left over."""

import re
from pathlib import Path

import pytest

from fermloop.campaign import page
from fermloop.campaign.page import CONSUMERS, SOURCES
from fermloop.campaign.statistics import FIGURES, LIMITS
from fermloop.campaign.words import both, catalogue, named
from models.organisms import ORGANISMS
from sim.truth import Truth
from sim.vessel import Vessel

EN, ZH = catalogue("en"), catalogue("zh")


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    assert EN.keys() == ZH.keys()
    for key, text in EN.items():
        places = set(re.findall(r"{(\w+)}", text))
        assert set(re.findall(r"{(\w+)}", ZH[key])) == places, key
        assert text.strip()
        assert ZH[key].strip()


def test_the_page_asks_for_every_text_and_no_other() -> None:
    source = Path(page.__file__).read_text(encoding="utf-8")
    asked = set(re.findall(r"""both\(\s*["']([\w.]+)["']""", source))
    asked |= {key for key in EN if f'"{key}"' in source}
    asked |= {f"{name}.title" for name in re.findall(r'_section\("(\w+)"', source)}
    asked |= {f"key.{figure.key}" for figure in FIGURES} | {f"key.{limit.key}" for limit in LIMITS}
    asked |= {f"part.{name}" for name in (*CONSUMERS, *SOURCES)}
    asked |= {key for key in EN if key.startswith(("trajectory.", "optimiser."))}
    assert asked == set(EN)


@pytest.mark.parametrize("organism", ORGANISMS)
def test_everything_that_a_simulated_plant_does_has_words(organism: str) -> None:
    for name in Truth(Vessel(organism, "300l")).trajectory:
        assert name in page.UNTOLD or f"trajectory.{name}" in EN, name


def test_what_stands_in_a_text_is_escaped_and_an_unknown_name_stands_for_itself() -> None:
    assert "<b>" not in both("comparison.lead", baseline="<b>", candidate="x", resamples=1)
    assert named("trajectory", "lactate_g_per_l") == "lactate_g_per_l"
