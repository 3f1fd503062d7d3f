"""The report of a study: one self-contained HTML page, and its pictures as PNG files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, StorageError
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasGraph
from nasplug.contract.records import Trial
from nasplug.optional import require
from nasplug.plugins.discovery import version
from nasplug.report import drawing, facts, plots, reasons, sections, series, tables
from nasplug.report.comparison import check, comparison
from nasplug.report.figures import PALETTE, Picture, save_png, style, to_svg
from nasplug.report.formats import clean, duration, number, shorten, text
from nasplug.report.labels import heading, label
from nasplug.report.payload import encode, payload
from nasplug.report.retrained import retrainings
from nasplug.report.script import policy, source
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: How many networks are drawn.
DRAWN = 3


@dataclass(frozen=True, slots=True)
class Network:
    """One of the best networks, drawn or described.

    Attributes:
        trial: Trial to show.
        label: Name of the network.
        role: Reason why it is shown.
        values: Results of the trial, as (name, value).
        picture: The drawing, if the space gives graphs that can be drawn.
        words: Text that stands in for a drawing.
    """

    trial: Trial
    label: str
    role: str
    values: list[tuple[str, str]]
    picture: Picture | None
    words: str


def write_report(studies: Study | Sequence[Study], path: Path, *, png_folder: Path | None = None) -> Path:
    """Writes the report of a study, or of several side by side.

    The page loads nothing from elsewhere: data, script and pictures are inside, and it opens from a disk without a
    network.

    Args:
        studies: Study to report on, or several; any state will do, also an empty one.
        path: The HTML file; its folder is made, an older file is replaced.
        png_folder: Folder to write pictures to as PNG files as well: the plots and the drawings of the networks.

    Returns:
        `path`.

    Raises:
        MissingExtraError: matplotlib or Jinja2 is not installed.
        StudyError: No study was given.
        StorageError: A file cannot be written.
    """
    given = list(studies) if isinstance(studies, Sequence) else [studies]
    check(given)
    path = Path(path)
    with style():
        parts = _parts(given)
        page = _rendered(given, parts)
        try:
            _replace(path, page)
            if png_folder is not None:
                png_folder.mkdir(parents=True, exist_ok=True)
                for index, (study, part) in enumerate(zip(given, parts, strict=True)):
                    prefix = f"{index + 1}-" if len(given) > 1 else ""
                    for picture in [*_plots(study), *part["pictures"]]:
                        save_png(replace(picture, name=f"{prefix}{picture.name}"), png_folder)
        except OSError as error:
            raise StorageError(
                "the report cannot be written", where=str(path), why=str(error), fix="give another path, or free space"
            ) from error
    return path


def render(studies: Sequence[Study], *, notice: str = "", revision: str = "") -> str:
    """Returns the page that follows its studies: it asks the server that it came from for news.

    Args:
        studies: Studies to report on; may be empty for a page that waits for one.
        notice: Sentence that a reader must know first.
        revision: Name of the state of the studies, which the server announces when it changes.
    """
    with style():
        return _rendered(studies, _parts(studies), notice=notice, live=True, revision=revision)


def _rendered(
    studies: Sequence[Study],
    parts: Sequence[dict[str, Any]],
    *,
    notice: str = "",
    live: bool = False,
    revision: str = "",
) -> str:
    jinja2 = require("jinja2", extra="report", purpose="write the report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nasplug.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    markup = jinja2.utils.markupsafe.Markup
    environment.filters["svg"] = lambda picture: markup(to_svg(picture))
    titles = [part["title"] for part in parts]
    side_by_side = comparison(studies, titles) if len(studies) > 1 else None
    data: dict[str, Json] = {"studies": [part["data"] for part in parts], "live": live}
    script = source()
    content = {
        "title": " and ".join(titles) if 0 < len(titles) < 4 else f"{len(titles)} studies" if titles else "Waiting",
        "studies": parts,
        "notice": notice,
        "live": live,
        "revision": revision,
        "comparison": side_by_side,
        "data": markup(encode(data)),
        "script": markup(script),
        "policy": policy(script, live=live),
        "palette": PALETTE,
        "version": version(),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return clean(environment.get_template("report.html").render(content))


def _parts(studies: Sequence[Study]) -> list[dict[str, Any]]:
    names = [facts.title(study) for study in studies]
    titles = [f"{name} ({i})" if names.count(name) > 1 else name for i, name in enumerate(names, start=1)]
    return [_part(study, title, index) for index, (study, title) in enumerate(zip(studies, titles, strict=True))]


def _part(study: Study, title: str, index: int) -> dict[str, Any]:
    """What the page says of one study: the data of the script, and the parts that stand without it."""
    ranking = series.ranking(study)
    networks, legend = _networks(study, ranking, index)
    failed, pruned = reasons.failures(study), reasons.pruned(study)
    added, notices = sections.sections(study)
    return {
        "title": title,
        "data": payload(study, title, ranking),
        "summary": facts.summary(study),
        "tiles": facts.tiles(study),
        "notices": [*facts.notices(study), *map(text, notices)],
        "honesty": facts.honesty(study),
        "networks": networks,
        "legend": legend,
        "choices": tables.choices(study, [network.trial for network in networks]),
        "top": tables.trials(study, ranking[: tables.TOP]) if ranking else None,
        "ranked": len(ranking),
        "retrained": retrainings(study),
        "failures": failed[: reasons.MOST],
        "failures_note": reasons.rest(failed),
        "kinds": reasons.kinds(study),
        "pruned": pruned[: reasons.MOST],
        "pruned_note": reasons.rest(pruned),
        "specification": facts.specification(study),
        "objects": [text(name) for name in study.meta.get("objects", ())],
        "versions": facts.versions(study),
        "commands": facts.commands(study),
        "sections": added,
        "pictures": [network.picture for network in networks if network.picture is not None]
        + [picture for section in added for picture in section.pictures],
    }


def _plots(study: Study) -> list[Picture]:
    """The plots as pictures: on the page a script draws them, files need them drawn."""
    found = (
        plots.progress(study),
        *plots.scatters(study),
        plots.hypervolume(study),
        plots.learning_curves(study),
        plots.provenance(study),
    )
    return [picture for picture in found if picture is not None]


def _networks(study: Study, ranking: Sequence[Trial], index: int) -> tuple[list[Network], dict[str, str]]:
    networks, graphs = [], []
    chosen = _chosen(study, ranking)
    named = tables.choices(study, [trial for trial, _ in chosen]) is not None
    for rank, (trial, role) in enumerate(chosen, start=1):
        picture, words = None, ""
        graph, problem = _graph(study, trial)
        if graph is None:
            words = problem or ("" if named else shorten(trial.architecture.genotype, 1000))
        elif not drawing.drawable(graph):
            words = f"Too large to draw: {drawing.summary(graph)}."
        else:
            picture = drawing.draw_graph(graph, f"network-{rank}", heading(study, trial), salt=str(index))
            graphs.append(graph)
        names = tables.value_names(study, [trial])[:8]
        values = [(text(name), number(trial.values[name])) for name in names if name in trial.values]
        values += [(text(name), number(value)) for name, value in trial.hyperparameters.items()]
        values.append(("time", duration(trial.seconds)))
        over = study.against.said(trial)
        values += [("against the baseline", text(over))] if over else []
        networks.append(Network(trial, label(study, trial), role, values, picture, words))
    return networks, drawing.families_of(graphs)


def _chosen(study: Study, ranking: Sequence[Trial]) -> list[tuple[Trial, str]]:
    """Up to three different networks: the best ones, or both ends and the middle of the Pareto front."""
    if len(study.objectives) > 1:
        found = series.front(study)
        if len(found) > 2:
            last = len(found) - 1
            picks = [(0, f"best {study.objectives[0].name}"), (last // 2, "middle of the Pareto front")]
            return [(found[i], role) for i, role in [*picks, (last, "other end of the Pareto front")]]
        return [(trial, "Pareto front") for trial in found]
    different: dict[str, Trial] = {}
    feasible = {trial.number for trial in study.candidates()}
    for trial in ranking:
        if trial.number in feasible:
            different.setdefault(trial.architecture.key, trial)
        if len(different) == DRAWN:
            break
    roles = ("best", "second best", "third best")
    return list(zip(different.values(), roles, strict=False))


def _graph(study: Study, trial: Trial) -> tuple[Graph | None, str]:
    """The network's graph, or None and the reason if there should be one."""
    try:
        space = study.space
    except NasplugError:
        return None, ""
    if not isinstance(space, HasGraph):
        return None, ""
    try:
        return space.graph(trial.architecture), ""
    except Exception as error:  # a space's own code: a report must not fail for it
        return None, f"The space cannot draw this network. {type(error).__name__}: {text(str(error))}"


def _replace(path: Path, page: str) -> None:
    """Writes beside the file first, so that an older report survives a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(page)
            file.close()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
