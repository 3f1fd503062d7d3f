"""The page is whole, safe and true to the study, whatever the study holds."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

import nasplug as nas
from nasplug.contract.errors import MissingExtraError, StorageError
from nasplug.contract.records import Failure
from nasplug.ledger.ledger import Ledger

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from nasplug.report.figures import PALETTE
from nasplug.report.page import write_report

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page: fails on unbalanced tags, collects headings and the names of elements."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words, self.scripts = [], set(), [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = write_report(study, folder / "deep" / "mine.html", png_folder=folder / "mine_files")
    return path, path.read_text(encoding="utf-8"), folder / "mine_files"


def svgs(page):
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)


def test_it_holds_every_part(written, study):
    page = Page(written[1])
    for heading in (
        "The best networks",
        "Top trials",
        "What failed or was pruned",
        "To repeat it",
    ):
        assert heading in page.text
    assert f", trial {study.best.number}" in page.text
    assert f"best: {study.space.label(study.best.architecture)[:15]}" in page.text
    assert "validation" in page.text
    assert "params <= 400000" in page.text
    assert "trials: 120" in page.text  # the specification


def test_it_loads_nothing_from_elsewhere(written):
    page = Page(written[1])
    assert not page.tags & {"link", "iframe", "object", "embed", "base"}
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "data", "action"):
            assert value.startswith(("#", "data:image/png;base64,")), (name, value[:60])
    assert "@import" not in written[1]
    assert not re.search(r"url\((?!#)", written[1])
    assert [dict(attributes).get("src") for attributes in page.scripts] == [None, None]  # data, and what reads them
    assert "http://" not in written[1].replace("http://www.w3.org/", "")
    assert "https://" not in written[1].replace("https://matplotlib.org/", "")


def test_only_its_own_script_may_run(written):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', written[1])[1].replace("&#39;", "'")
    script = re.search(r"<script>(.*?)</script>", written[1], flags=re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "innerHTML" not in script
    assert "eval(" not in script
    assert not re.search(r"\son[a-z]+=", re.sub(r"<script.*?</script>", "", written[1], flags=re.DOTALL))


def test_pictures_are_valid_and_described(written):
    found = svgs(written[1])
    assert len(found) == 3  # the networks; the script draws the plots
    names: list[str] = []
    for svg in found:
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 10
        names += [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names)), "identifiers clash between pictures"


def test_pictures_follow_the_theme(written):
    assert "prefers-color-scheme: dark" in written[1]
    for svg in svgs(written[1]):
        assert "var(--muted)" in svg
        assert not set(re.findall("#[0-9a-f]{6}", svg)) & {light for light, _ in PALETTE.values()}


def test_png_files(written):
    names = {path.name for path in written[2].iterdir()}
    assert names == {
        "progress.png",
        "pareto.png",
        "hypervolume.png",
        "learning-curves.png",
        "strategy.png",
        "network-1.png",
        "network-2.png",
        "network-3.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written[2].iterdir())


def test_no_png_unless_asked(small, tmp_path):
    write_report(small, tmp_path / "mine.html")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]


def test_what_users_write_is_escaped(written):
    assert Page(written[1]).scripts == [[("type", "application/json"), ("id", "data")], []]
    assert "&lt;script&gt;" in written[1]
    assert "\\u003cscript\\u003e" in written[1]  # the same in the data


def test_metrics_of_test_data_are_left_out(written):
    assert "test_acc" not in re.search(r'id="data">(.*?)</script>', written[1], flags=re.DOTALL)[1]
    assert "0.123456" not in written[1]
    assert "test data (test_acc) are left out" in Page(written[1]).text


def test_hostile_names_everywhere(tmp_path):
    evil = '</svg><script>alert("$x_{")</script>\x1b[31m\ud800'
    architecture = nas.Architecture("evil", (evil,), evil)

    class EvilSpace:
        name = "evil"

        def graph(self, architecture):
            return nas.Graph.chain((evil, "c<d>"))

        def architecture(self, genotype): ...
        def validate(self, architecture): ...
        def sample(self, rng): ...
        def build(self, architecture, task): ...

    ledger = Ledger.of(EvilSpace(), {evil: "max", "b": "min"})
    for number in range(6):
        proposal = nas.Proposal(architecture, {evil: evil}, info={evil: number})
        steps = tuple([nas.Measurement(step, {evil: step * 0.1}) for step in range(3)])
        ledger.observe(
            nas.Trial(number, proposal, "complete", metrics={evil: number % 4, "b": number}, measurements=steps)
        )
    ledger.observe(nas.Trial(6, nas.Proposal(architecture), "failed", failure=Failure(evil, evil, evil)))
    ledger.observe(nas.Trial(7, nas.Proposal(architecture), "pruned", reason=evil))
    path = write_report(ledger.result(), tmp_path / "x.html", png_folder=tmp_path)
    page = path.read_text(encoding="utf-8")
    assert Page(page).scripts == [[("type", "application/json"), ("id", "data")], []]
    assert "\x1b" not in page
    for svg in svgs(page):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize("objectives", [(), (nas.Objective("a", "max"),)])
def test_an_empty_study(objectives, tmp_path):
    page = Page(write_report(Ledger.of(None, objectives).result(), tmp_path / "x.html").read_text(encoding="utf-8"))
    assert "No trial has finished yet" in page.text


def test_only_failures(make, tmp_path):
    study = make(evaluator="Broken", objectives=None, constraints=[], trials=9, give_up_after=0)
    page = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8"))
    assert "there is no best one" in page.text
    assert "9 ValueError: cannot <b>multiply</b> shapes 3 and 0" in page.text.replace("shape ", "")


def test_one_trial(make, tmp_path):
    study = make(trials=1, objectives={"params": "min"}, constraints=[], evaluator="PseudoTraining")
    page = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8"))
    assert "Trials 1" in page.text


def test_values_that_are_not_finite(tmp_path):
    ledger = Ledger.of(None, {"a": "max", "b": "min"})
    architecture = nas.Architecture("s", (1,), "1")
    values = [math.nan, math.inf, -math.inf, 1.0, 2.0]
    for number, value in enumerate(values):
        steps = (nas.Measurement(0, {"a": value}), nas.Measurement(1, {"a": math.nan}))
        proposal = nas.Proposal(architecture, {"lr": value}, info={"x": value})
        metrics = {"a": value, "b": values[-1 - number], "c": value}
        ledger.observe(nas.Trial(number, proposal, "complete", metrics=metrics, measurements=steps))
    page = Page(write_report(ledger.result(), tmp_path / "x.html", png_folder=tmp_path).read_text(encoding="utf-8"))
    assert "not a number" in page.text


def test_three_objectives_over_magnitudes(tmp_path):
    objectives = [nas.Objective("acc", "max"), nas.Objective("params", "min"), nas.Objective("latency_s", "min")]
    ledger = Ledger.of(None, objectives)
    for i in range(40):
        metrics = {"acc": i / 40, "params": 1e3 * 1.3**i, "latency_s": 1e-5 * (1 + i * 17 % 40) ** 2}
        architecture = nas.Architecture("s", (i,), str(i))
        ledger.observe(nas.Trial(i, nas.Proposal(architecture), "complete", metrics=metrics))
    page = write_report(ledger.result(), tmp_path / "x.html", png_folder=tmp_path).read_text(encoding="utf-8")
    assert {"pareto.png", "pareto-2.png", "hypervolume.png"} <= {path.name for path in tmp_path.iterdir()}
    assert "other end of the Pareto front" in page


def test_without_a_graph_there_is_a_table_of_choices(make, tmp_path):
    study = make(space="PlainSpace", trials=20)
    page = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8"))
    assert "Which option every decision of the search space took" in page.text
    assert "width" in page.text


def test_without_the_space_the_genotype_is_shown(small, tmp_path):
    meta = {**small.meta, "unavailable": "the plugin is gone"}
    bare = Ledger.of(None, small.objectives, meta=meta, trials=small.trials).result()
    text = Page(write_report(bare, tmp_path / "x.html").read_text(encoding="utf-8")).text
    assert "the plugin is gone" in text
    depth, width = small.best.architecture.genotype
    assert f"depth={depth} width={width}" in text  # the label that was stored with the trial
    assert f"[{depth}, {width}]" in text  # where nothing else draws it


def test_a_space_that_cannot_draw_does_not_stop_the_report(make, tmp_path):
    study = make(trials=10)
    study.space.graph = lambda architecture: 1 / 0
    text = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8")).text
    assert "ZeroDivisionError" in text


def test_a_study_file_gives_name_and_commands(make, tmp_path):
    study = make(space="PlainSpace", strategy="random", trials=12, storage=tmp_path / "my runs" / "mine.sqlite")
    text = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8")).text
    assert "Architecture search mine" in text
    assert f"mine.sqlite' --trial {study.best.number}" in text


def test_an_objective_on_test_data_is_pointed_out(make, tmp_path):
    study = make(space="PlainSpace", strategy="random", objectives={"test_acc": "max"}, constraints=[], trials=12)
    text = Page(write_report(study, tmp_path / "x.html").read_text(encoding="utf-8")).text
    assert "The search chose by test_acc, which looks like test data" in text


def test_study_report_is_the_same_door(small, tmp_path):
    assert small.report(tmp_path / "x.html").is_file()


def test_the_users_matplotlib_settings_stay(small, tmp_path):
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True, "font.size": 33}):
        write_report(small, tmp_path / "x.html")
        assert matplotlib.rcParams["font.size"] == 33
        assert matplotlib.rcParams["text.usetex"] is True


def test_without_matplotlib_the_extra_is_named(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"nasplug\[report\]"):
        write_report(small, tmp_path / "x.html")


def test_an_unwritable_place_is_one_clear_error_and_keeps_the_old_page(small, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(small, tmp_path / "file" / "x.html")
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(small, tmp_path / "taken.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.html"]


@pytest.mark.slow
def test_a_thousand_trials_take_seconds(make, tmp_path):
    study = make(trials=1000)
    started = time.process_time()
    path = write_report(study, tmp_path / "x.html")
    assert time.process_time() - started < 10
    assert path.stat().st_size < 3e6
