"""The page in a real browser: what a person clicks, types and drags, in light and dark, on a phone and a screen."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import ClassVar

import pytest

import nasplug as nas
from nasplug.ledger.ledger import Ledger
from nasplug.report import watch
from nasplug.report.page import write_report
from nasplug.report.watch import Server, Watched
from nasplug.testing import SyntheticEvaluator, SyntheticSpace

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium():
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed; set CHROMIUM to its path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Opens a page; fails if its script raises or anything is refused by its policy."""
    pages, problems = [], []

    def run(address, width=1400, scheme="light", **options):
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: (problems.append("a dialog opened"), dialog.dismiss()))
        page.on(
            "request", lambda asked: problems.append(asked.url) if not asked.url.startswith(origin(address)) else None
        )
        page.goto(address)
        pages.append(page)
        return page

    yield run
    for page in pages:
        page.close()
    assert problems == []


def origin(address):
    return address if address.startswith("http") else "file:"


@pytest.fixture(scope="module")
def address(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("browser") / "one.html").as_uri()


def rows(page):
    return page.locator("table.trials tbody tr")


def count(page):
    return int(page.locator("#count").inner_text().split(" of ")[0].replace(",", ""))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_and_can_be_read(opened, address, width, scheme):
    page = opened(address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("explore", "coordinates", "curves", "importance", "trials", "notes"):
        assert page.locator(f"#{name}").is_visible(), name
    assert page.locator("#view-scatter svg").is_visible()
    assert not page.locator("section.unscripted").is_visible()
    # text against what is behind it, as the WCAG counts contrast
    ratio = page.evaluate(
        """() => {
          const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
          const light = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
            .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const pair = (a, b) => { const [x, y] = [light(value(a)), light(value(b))].sort((p, q) => q - p);
            return (x + 0.05) / (y + 0.05); };
          return Math.min(pair('--ink', '--surface'), pair('--muted', '--surface'), pair('--muted', '--page'));
        }"""
    )
    assert ratio >= 4.5
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(244, 246, 249)" if scheme == "light" else "rgb(18, 22, 28)")


def test_a_click_on_a_dot_selects_its_trial(opened, address, study):
    page = opened(address)
    chart = page.locator("#view-scatter svg")
    chart.scroll_into_view_if_needed()
    place = page.evaluate(
        """() => {
          const path = document.querySelector("#view-scatter path.dots[stroke='var(--c3)']");
          const [x, y] = path.getAttribute('d').match(/M([\\d.]+) ([\\d.]+)/).slice(1).map(Number);
          const svg = path.ownerSVGElement, box = svg.getBoundingClientRect();
          const k = box.width / svg.viewBox.baseVal.width;
          return [box.left + x * k, box.top + y * k];
        }"""
    )
    page.mouse.move(*place)
    tip = page.locator(".tip")
    assert tip.is_visible()
    assert "Pareto front" in tip.inner_text()
    page.mouse.click(*place)
    card = page.locator(".card")
    assert card.count() == 1
    number = int(card.get_attribute("data-key").split(":")[1])
    assert number in {trial.number for trial in study.pareto()}
    assert study.space.label(study.trial(number).architecture)[:30] in card.inner_text()
    assert page.locator("#view-scatter circle.pick").count() == 1
    assert page.locator("#view-progress circle.pick").count() == 1
    assert page.locator("#view-parallel path.picked").count() == 1
    card.locator("button.close").click()
    assert page.locator(".card").count() == 0
    assert not page.locator("#selected").is_visible()


def test_the_keyboard_does_the_same(opened, address):
    page = opened(address)
    page.locator("#view-scatter svg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip").is_visible()
    page.keyboard.press("Enter")
    assert page.locator(".card").count() == 1
    page.locator("table.trials input").nth(4).focus()
    page.keyboard.press("Space")
    assert page.locator(".card").count() == 2
    assert page.evaluate("document.activeElement.type") == "checkbox"  # the focus stays where it was


def test_filters_narrow_everything(opened, address, study):
    page = opened(address)
    assert count(page) == len(study.trials)
    page.fill("#query", "params < 200e3")
    few = sum(trial.values.get("params", 1e9) < 200e3 for trial in study.trials)
    assert count(page) == few
    page.fill("#query", "conv_5_1_64 params<200e3")
    labels = [study.space.label(t.architecture) for t in study.trials if t.values.get("params", 1e9) < 200e3]
    assert count(page) == sum("conv_5_1_64" in label for label in labels)
    page.locator("#reset").click()
    assert count(page) == len(study.trials)
    page.get_by_label("failed", exact=True).uncheck()
    assert count(page) == sum(trial.state != "failed" for trial in study.trials)
    page.get_by_label("Pareto front only").check()
    assert count(page) == len(study.pareto())
    page.fill("#query", "nothing is called like this")
    assert "No trial matches" in page.locator("#table").inner_text()


def test_dragging_along_an_axis_filters(opened, address, study):
    page = opened(address)
    brush = page.locator('[data-axis="value:val_acc"]')
    brush.scroll_into_view_if_needed()
    box = brush.bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.3, steps=4)
    page.mouse.up()
    left = count(page)
    assert 0 < left < len(study.trials)
    shown = {int(row.get_attribute("data-key").split(":")[1]) for row in rows(page).all()}
    values = sorted(t.values["val_acc"] for t in study.trials if t.values.get("val_acc", -1) > 0)
    assert min(study.trial(number).values["val_acc"] for number in shown) > values[len(values) // 3]
    page.locator("#ranges button").click()
    assert count(page) == len(study.trials)


def test_heads_sort(opened, address, study):
    page = opened(address)

    def column(index):
        return [row.locator("td").nth(index).inner_text() for row in rows(page).all()]

    assert int(column(2)[0]) == study.best.number
    head = page.locator("table.trials th button", has_text="params").first
    head.click()
    sizes = [trial.values["params"] for trial in study.trials if "params" in trial.values]
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("params")
    first = int(column(2)[0])
    assert study.trial(first).values["params"] == min(sizes)
    page.locator("table.trials th button", has_text="params").first.click()
    assert study.trial(int(column(2)[0])).values["params"] == max(sizes)
    before = rows(page).count()
    page.get_by_role("button", name="Show 50 more").click()
    assert rows(page).count() == before + 50


def test_axes_curves_and_importance_can_be_chosen(opened, address):
    page = opened(address)
    page.select_option("#pick-x", "hyper:lr")
    assert page.locator("#view-scatter svg").get_attribute("aria-label").startswith("val_acc against lr")
    page.select_option("#pick-metric", "val_loss")
    assert "val_loss" in page.locator("#view-curveChart svg").get_attribute("aria-label")
    page.select_option("#pick-objective", "params")
    bar = page.locator(".bar-row").nth(1)
    name = bar.locator(".bar-name").evaluate("node => node.firstChild.textContent")
    bar.click()
    assert page.locator("#view-effect svg").get_attribute("aria-label").startswith(f"params by {name}")
    assert page.locator(".bar-row[aria-pressed=true]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_any_selected_network_is_drawn(opened, address, study, width, scheme):
    page = opened(address, width, scheme)
    for place in (0, 7, 11):
        row = rows(page).nth(place)
        number = int(row.get_attribute("data-key").split(":")[1])
        row.locator("input").click()
        drawing = page.locator(f".card[data-key='0:{number}'] svg.wiring")
        assert drawing.is_visible()
        wanted = list(study.space.graph(study.trial(number).architecture).labels)
        assert drawing.locator("text").all_text_contents() == wanted
        assert drawing.locator("path.edge").count() == len(wanted) - 1
        inside = drawing.evaluate(
            """svg => { const all = svg.getBoundingClientRect();
              return [...svg.querySelectorAll('rect, text')].map((part) => part.getBoundingClientRect()).every((box) =>
                box.left >= all.left && box.right <= all.right && box.top >= all.top && box.bottom <= all.bottom); }"""
        )
        assert inside
        wide = drawing.evaluate(
            """svg => [...svg.querySelectorAll('g')].every((g) =>
              g.querySelector('text').getBBox().width <= g.querySelector('rect').getBBox().width)"""
        )
        assert wide
        scrolled = drawing.evaluate("svg => svg.parentElement.scrollWidth <= svg.parentElement.clientWidth")
        assert scrolled
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".card button.close").first.click()
    assert page.locator("svg.wiring").count() == 2


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_a_branched_network_is_drawn_in_layers(opened, make, tmp_path, width, scheme):
    study = make(space="CellSpace", trials=20)
    page = opened(write_report(study, tmp_path / "x.html").as_uri(), width, scheme)
    for place in range(3):
        rows(page).nth(place).locator("input").click()
    assert page.locator("svg.wiring").count() == 3
    drawing = page.locator("svg.wiring").first
    assert drawing.locator("path.edge").count() == 9
    tops = drawing.evaluate("svg => [...svg.querySelectorAll('rect')].map((box) => Number(box.getAttribute('y')))")
    assert tops[0] < tops[1] == tops[2] == tops[3] < tops[4] == tops[5] < tops[6]
    overlapping = drawing.evaluate(
        """svg => { const boxes = [...svg.querySelectorAll('rect')].map((box) => box.getBoundingClientRect());
          return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right
            && a.top < b.bottom && b.top < a.bottom)); }"""
    )
    assert not overlapping
    assert page.evaluate("document.documentElement.scrollWidth") <= width


class Latency(SyntheticEvaluator):
    """Measures a latency as well."""

    objectives: ClassVar = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation(
            {"score": run.number % 7 / 7, "params": 1e3 + run.number, "cpu/latency_s": 1e-3 * (1 + run.number % 5)}
        )


def test_latency_is_plotted_where_it_was_measured(opened, address, tmp_path):
    study = nas.search(
        space=SyntheticSpace(), evaluator=Latency(), strategy="random", objectives={"score": "max"}, trials=20,
        progress=False,
    )  # fmt: skip
    page = opened(write_report(study, tmp_path / "x.html").as_uri())
    assert "over cpu/latency_s" in page.locator("#view-latency svg").evaluate("n => n.closest('figure').textContent")
    assert not opened(address).locator("#view-latency").is_visible()


def test_a_baseline_is_marked_and_every_trial_says_how_it_compares(opened, make, tmp_path):
    from nasplug.contract.records import BASELINE

    study = make(trials=40)
    study.baseline = nas.Trial(
        BASELINE, nas.Proposal(nas.Architecture("b", ("resnet18",), "resnet18")), "complete",
        metrics={"val_acc": 0.95}, costs={"params": 2e6}, label="resnet18",
    )  # fmt: skip
    page = opened(write_report(study, tmp_path / "x.html", png_folder=tmp_path).as_uri())
    assert page.locator("#view-scatter path.base").count() == 1
    assert page.locator("#view-progress line.guide").count() == 1
    assert count(page) == 40
    pinned = page.locator("tr.pinned")
    assert "resnet18" in pinned.inner_text()
    assert "baseline" in pinned.inner_text()
    second = rows(page).nth(1)
    trial = study.trial(int(second.get_attribute("data-key").split(":")[1]))
    wanted = list(map(str, study.against.of(trial)))
    assert "points" in wanted[0]
    assert "x smaller" in wanted[1]
    for words in wanted:
        assert words in second.inner_text()
    second.locator("input").click()
    assert wanted[1] in page.locator(".card .against").inner_text()
    pinned.locator("input").click()
    assert page.locator(".card").count() == 2


def test_several_studies(opened, study, small, tmp_path):
    page = opened(write_report([study, small], tmp_path / "two.html").as_uri())
    assert count(page) == len(study.trials) + len(small.trials)
    assert "Side by side" in page.locator("header").inner_text()
    page.locator("table.trials th button", has_text="study").first.click()
    page.locator("table.trials th button", has_text="study").first.click()
    assert small.space.label(small.trials[0].architecture) in page.locator("table.trials").inner_text()


def test_nothing_that_a_study_holds_is_run(opened, tmp_path):
    evil = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u2028__proto__'
    ledger = Ledger.of(None, {evil: "max", "__proto__": "min"})
    for i in range(20):
        architecture = nas.Architecture("evil", (evil, i), evil + str(i))
        steps = tuple(nas.Measurement(s, {evil: s * 0.1}) for s in range(3))
        proposal = nas.Proposal(architecture, {evil: evil + str(i % 2), "constructor": 1.0 * i}, info={evil: -i % 7})
        metrics = {evil: i % 4 * 1.0, "__proto__": 1.0 * i}
        ledger.observe(nas.Trial(i, proposal, "complete", metrics=metrics, measurements=steps))
    page = opened(write_report(ledger.result(), tmp_path / "x.html").as_uri())
    rows(page).nth(1).locator("input").click()
    page.locator("#view-scatter svg").focus()
    page.keyboard.press("ArrowRight")
    assert "<img src=x" in page.locator(".tip").inner_text()
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_a_large_study_is_drawn_at_once(opened, tmp_path):
    ledger = Ledger.of(None, {"a": "max", "b": "min"})
    for i in range(6000):
        metrics = {"a": (i * 7919 % 6007) / 6007, "b": (i * 104729 % 6011) / 6011}
        ledger.observe(
            nas.Trial(
                i, nas.Proposal(nas.Architecture("s", (i,), str(i)), {"lr": i % 97 / 97}), "complete", metrics=metrics
            )
        )
    page = opened(write_report(ledger.result(), tmp_path / "x.html").as_uri())
    assert count(page) == 4000
    assert "4,000 of all 6,000 trials" in page.locator("#rule").inner_text()
    spent = page.evaluate(
        """() => {
          const started = performance.now(), query = document.getElementById('query');
          query.value = 'a > 0.5';
          query.dispatchEvent(new Event('input'));
          return performance.now() - started;
        }"""
    )
    assert spent < 1500


def test_it_can_be_printed_and_moves_nothing_for_those_who_ask(opened, address, chromium):
    page = opened(address, reduced_motion="reduce")
    assert page.locator(".bar").first.evaluate("n => getComputedStyle(n).transitionDuration") in ("0s", "")
    page.emulate_media(media="print")
    assert not page.locator("#query").is_visible()
    assert page.locator("#view-scatter svg").is_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_without_scripts_the_page_still_says_what_was_found(chromium, address, study):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    text = page.locator("main").inner_text()
    assert "Top trials" in text
    assert "JavaScript" in text
    context.close()


def test_watching_keeps_what_was_selected(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "LOOK", 0.05)
    monkeypatch.setattr(watch, "LEAST", 0.1)
    path = Path(tmp_path / "s.sqlite")
    server = Server(Watched([path], nas.load_study))
    server.start()

    def search(trials):
        nas.search(
            space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy="random", trials=trials,
            storage=path, progress=False,
        )  # fmt: skip

    try:
        page = opened(server.url)
        assert "Waiting for" in page.locator("header").inner_text()
        search(5)
        page.wait_for_function("() => document.querySelectorAll('table.trials tbody tr').length === 5", timeout=30_000)
        assert "Waiting for" not in page.locator("header").inner_text()
        rows(page).nth(2).locator("input").click()
        key = page.locator(".card").get_attribute("data-key")
        page.fill("#query", "complete")
        page.locator("#query").focus()
        search(9)
        page.wait_for_function("() => document.querySelectorAll('table.trials tbody tr').length === 9", timeout=30_000)
        assert page.locator(".card").get_attribute("data-key") == key
        assert page.input_value("#query") == "complete"
        assert page.evaluate("document.activeElement.id") == "query"
        assert page.locator("#live").inner_text().startswith("live")
        assert "9 complete" in page.locator(".tiles").inner_text()
    finally:
        server.close()
