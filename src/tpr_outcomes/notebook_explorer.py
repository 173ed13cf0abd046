"""The explorer: a clinic's record opened by upload, looked at from five sides, on this computer alone.

:func:`explorer` returns widgets that work in JupyterLab and, served by Voilà, in any browser. Every side is
made by the functions the notebooks use; here is only what follows from a press of a button. The file is read
from memory, and nothing is written: the report is handed over as a link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tpr_outcomes import notebook
from tpr_outcomes.analysis import AnalysisPlan, evaluate
from tpr_outcomes.cohort.choose import Choice, chosen, offered, part_of
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.sources import FileContent, read_source
from tpr_outcomes.cohort.visits import Visits, check_visits, read_visits
from tpr_outcomes.errors import DataError, FitError, PlanError, TprError
from tpr_outcomes.models.outlook import outlook
from tpr_outcomes.reporting import blocks, bundle
from tpr_outcomes.reporting import words_explorer as say
from tpr_outcomes.reporting import words_notebook as also
from tpr_outcomes.reporting.blocks import Block
from tpr_outcomes.reporting.explored import group_picture, patient_block, patient_line
from tpr_outcomes.reporting.results import Evaluation

EXAMPLE = "example:threshold"
WANTED = ("patient", "visit", "pain", "twitches")
"""Columns a reader may be asked to point at; a day does as well as a number of the visit."""


def explorer(data: str | Path = "", settings: Mapping[str, Any] | None = None) -> Any:
    """Widgets to open a record and look at it.

    Parameters
    ----------
    data : str or Path
        A file (or ``"example:threshold"``) to begin with; empty: wait for an upload.
    settings : mapping, optional
        As in :func:`tpr_outcomes.notebook.open_record`, for ``data``.

    Returns
    -------
    ipywidgets.VBox
        It can be used by keyboard alone.
    """
    return _Explorer(data, settings).box


class _Explorer:
    """The widgets, and what they show of the record that is open."""

    def __init__(self, data: str | Path, settings: Mapping[str, Any] | None) -> None:
        import ipywidgets as w  # type: ignore[import-untyped]

        self.w = w
        self.file: FileContent | None = None
        self.result: Evaluation | None = None
        self.choice = Choice()
        self.upload = w.FileUpload(description=say.OPEN["upload"], multiple=False, layout={"width": "11rem"})
        self.example = w.Button(description=say.OPEN["example"], layout={"width": "15rem"})
        self.scale = self.dropdown(say.OPEN["scale"], [(scale.label, key) for key, scale in SCALES.items()])
        self.rated = self.dropdown(say.OPEN["rated"], [(text, key) for key, text in say.TIMES.items()])
        self.views = w.ToggleButtons(options=[(text, key) for key, text in say.VIEWS.items()])
        self.status, self.message = w.HTML(), w.VBox([])
        self.body = w.VBox([])
        self.shown = w.VBox([self.views, self.body], layout={"display": "none"})
        row = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0.3rem 1rem"}
        opening = w.HBox([self.upload, self.example, self.scale, self.rated], layout=row)
        promise = self.html(blocks.text(say.OPEN["promise"], kind="note"))
        self.row = row
        self.box = w.VBox([promise, opening, self.status, self.message, self.shown])
        self.tell(say.OPEN["waiting"])
        self.upload.observe(self.guarded(self.on_upload), names="value")
        self.example.on_click(self.guarded(lambda _: self.open_path(EXAMPLE, {})))
        for control in (self.scale, self.rated):
            control.observe(self.guarded(lambda _: self.read() if self.file else None), names="value")
        self.views.observe(self.guarded(lambda _: self.show()), names="value")
        if str(data).strip():
            self.guarded(lambda _: self.open_path(data, settings or {}))(None)

    # --- parts -----------------------------------------------------------------------------------

    def dropdown(self, text: str, options: list[Any], **more: Any) -> Any:
        """A choice from a list, its label beside it."""
        look: dict[str, Any] = {
            "style": {"description_width": "initial"},
            "layout": {"width": "auto", "max_width": "min(28rem, 100%)"},
        }
        return self.w.Dropdown(options=options, description=text, **look | more)

    def whole(self, text: str, value: int, least: int, most: int) -> Any:
        """A whole number that can be typed, or moved by the arrow keys."""
        look = {"style": {"description_width": "initial"}, "layout": {"width": "10.5rem"}}
        return self.w.BoundedIntText(value=value, min=least, max=most, description=text, **look)

    def html(self, block: Block) -> Any:
        """A block as a widget."""
        return self.w.HTML(block._repr_html_())

    def tell(self, text: str) -> None:
        """Say where things stand; screen readers say it, too."""
        self.status.value = self.said(text)._repr_html_()

    def guarded(self, action: Callable[[Any], None]) -> Callable[[Any], None]:
        """The action, with what goes wrong said in words and never as a traceback."""

        def safely(event: Any) -> None:
            try:
                action(event)
            except TprError as error:
                self.refuse(notebook.problem(error, say.OPEN["mend"]))
            except Exception as error:  # its words may quote the data, so only its kind is shown
                kind = type(error).__name__
                self.refuse(blocks.alert(also.MESSAGES["stopped"], say.UNEXPECTED.format(kind=kind)))

        return safely

    def refuse(self, block: Block, *further: Any) -> None:
        """Show what is wrong in place of the record."""
        self.tell(say.OPEN["stopped"])
        self.message.children = (self.html(block), *further)
        self.shown.layout.display = "none"

    # --- opening ---------------------------------------------------------------------------------

    def on_upload(self, event: Any) -> None:
        """Take the file out of the page's memory and read it."""
        if not event["new"]:
            return
        sent = event["new"][0]
        self.file = FileContent(str(sent["name"]), bytes(sent["content"]))
        self.read()

    def read(self, columns: Mapping[str, str] | None = None) -> None:
        """Read the file that was sent, with the settings as they stand."""
        assert self.file is not None
        self.tell(say.OPEN["working"])
        told: dict[str, Any] = {"scale": self.scale.value, "rated": self.rated.value}
        try:
            visits = read_visits(self.file, columns=columns, **told)
        except DataError as error:
            self.refuse(notebook.problem(error, say.OPEN["mend"]), *self.ask_for_columns(told, columns))
            return
        named = {"columns": dict(columns)} if columns else {}
        self.take(visits, AnalysisPlan.checked({**told, **named}), say.OPEN["your_file"])

    def open_path(self, data: str | Path, settings: Mapping[str, Any]) -> None:
        """Read a file on this computer, or an example."""
        self.tell(say.OPEN["working"])
        visits, plan = notebook.open_record(data, settings)
        name = say.OPEN["the_example" if data == EXAMPLE else "your_file"]
        self.take(visits, plan, name)

    def ask_for_columns(self, told: dict[str, Any], columns: Mapping[str, str] | None) -> list[Any]:
        """Lists to point at the columns that were not found, where any was not."""
        assert self.file is not None
        report = check_visits(self.file, columns=columns, **told)
        found = set(report.columns) | ({"visit"} if "date" in report.columns else set())
        missing = [name for name in WANTED if name not in found]
        if not missing:
            return []
        header = [name for name in read_source(self.file).header if name]
        lists = {}
        for name in missing:
            guess = report.guess.get(name)
            options = [(say.OPEN["none"], "")] + [(theirs, theirs) for theirs in header]
            lists[name] = self.dropdown(say.COLUMNS[name], options, value=guess if guess in header else "")
        again = self.w.Button(description=say.OPEN["again"], layout={"width": "13rem"})

        def on_again(_: Any) -> None:
            picked = {name: box.value for name, box in lists.items() if box.value}
            self.read({**(columns or {}), **picked})

        again.on_click(self.guarded(on_again))
        return [self.html(blocks.text(say.OPEN["columns"])), *lists.values(), again]

    def take(self, visits: Visits, plan: AnalysisPlan, name: str) -> None:
        """Judge a record and show it."""
        self.result = evaluate(visits, plan)
        self.choice = Choice()
        counts = {"patients": f"{visits.n_patients:,}", "visits": f"{visits.n_visits:,}"}
        self.tell(say.OPEN["ready"].format(what=name, **counts))
        self.message.children = ()
        self.shown.layout.display = ""
        if self.views.value == "verdict":
            self.show()
        else:
            self.views.value = "verdict"

    # --- the five sides --------------------------------------------------------------------------

    def show(self) -> None:
        """Show the side that is pressed; until it is made, no other side stands under its button."""
        assert self.result is not None
        self.body.children = (self.html(self.said(say.OPEN["working"])),)
        made = {
            "verdict": self.verdict, "check": self.check, "group": self.group, "patient": self.patient,
            "report": self.report,
        }  # fmt: skip
        self.body.children = tuple(made[self.views.value](self.result))

    def verdict(self, result: Evaluation) -> list[Any]:
        """First screen, with the reasons one press deeper."""
        deeper = [
            blocks.fold(say.WHY, notebook.why(result)),
            blocks.fold(say.MORE["fool"], notebook.cautions(result)),
            blocks.fold(say.MORE["checks"], notebook.report_table(result, "checks")),
            blocks.fold(say.MORE["gates"], notebook.report_table(result, "gates")),
        ]
        return [self.html(notebook.first_screen(result)), self.html(blocks.stack(*deeper))]

    def check(self, result: Evaluation) -> list[Any]:
        """The data check in full, every problem, and where the rows went."""
        problems = notebook.problems_of(result.visits)
        return [
            self.html(b) for b in (notebook.data_check(result), problems, notebook.picture(result, "flow"))
        ]

    def group(self, result: Evaluation) -> list[Any]:
        """How the chosen patients did, together."""
        shown = self.w.VBox([])

        def refresh() -> None:
            patients = chosen(result.visits, self.choice)
            told = self.count(result, len(patients))
            made = (
                [blocks.text(say.CHOOSE["few"])]
                if len(patients) < also.FEWEST_SHOWN
                else together(result, part_of(result.visits, patients))
            )
            shown.children = tuple(self.html(block) for block in (told, *made))

        controls = self.choosing(result, refresh)
        refresh()
        return [controls, shown, self.html(blocks.text(say.CHOOSE["note"], kind="note"))]

    def patient(self, result: Evaluation) -> list[Any]:
        """One patient's course, and what usually follows."""
        visits, working = result.visits, result.evidence.working
        which = self.dropdown(say.PATIENT["which"], [])
        known = self.whole(say.PATIENT["known"], 1, 1, 1)
        shown = self.w.HTML()

        def draw(_: Any = None) -> None:
            if which.value is None:
                shown.value = blocks.text(say.PATIENT["nobody"])._repr_html_()
                return
            if working is None:
                reason = result.evidence.obstacle
                shown.value = blocks.text(say.PATIENT["no_model"].format(reason=reason))._repr_html_()
                return
            try:
                found = outlook(working, visits, which.value, known=known.value)
            except FitError as error:
                shown.value = blocks.text(say.PATIENT["cannot"].format(reason=error))._repr_html_()
                return
            shown.value = patient_block(found, result.evidence)._repr_html_()

        def change(_: Any = None) -> None:
            if which.value is not None:
                numbers = visits.table.loc[visits.table["patient"] == which.value, "visit"]
                least, most = int(numbers.iloc[0]), int(numbers.iloc[-1])
                with known.hold_trait_notifications():
                    known.max, known.min, known.value = most, least, most
            draw()

        def refresh() -> None:
            patients = chosen(visits, self.choice)
            counted.value = self.count(result, len(patients))._repr_html_()
            before = which.value
            which.unobserve(on_change, names="value")
            which.options = [(patient_line(visits, int(code)), int(code)) for code in patients]
            which.value = before if before in patients else int(patients[0]) if len(patients) else None
            which.observe(on_change, names="value")
            change()

        on_change = self.guarded(change)
        which.observe(on_change, names="value")
        known.observe(self.guarded(draw), names="value")
        counted = self.w.HTML()
        controls = self.choosing(result, refresh)
        refresh()
        line = self.w.HBox([which, known], layout=self.row)
        return [controls, counted, line, shown, self.html(blocks.text(say.PATIENT["numbers"], kind="note"))]

    def report(self, result: Evaluation) -> list[Any]:
        """The report, made on request and handed over as a link."""
        make = self.w.Button(description=say.REPORT["make"], layout={"width": "13rem"})
        link = self.w.HTML()

        def on_make(_: Any) -> None:
            link.value = blocks.text(say.REPORT["making"])._repr_html_()
            content = bundle.contents(result)[bundle.REPORT]
            text = say.REPORT["link"].format(size=f"{len(content) / 1e6:.1f}")
            done = blocks.text(say.REPORT["made"])
            link.value = blocks.stack(done, blocks.download(text, bundle.REPORT, content))._repr_html_()

        make.on_click(self.guarded(on_make))
        about = self.html(blocks.text(say.REPORT["about"]))
        note = self.html(blocks.text(say.CHOOSE["note"], kind="note"))
        return [about, make, link, note]

    # --- choosing --------------------------------------------------------------------------------

    def choosing(self, result: Evaluation, refresh: Callable[[], None]) -> Any:
        """Controls that choose patients; only by what the record holds."""
        there = offered(result.visits)
        now = self.choice
        boxes: dict[str, Any] = {}
        for name in ("region", "therapist"):
            values: tuple[str, ...] = getattr(there, name)
            if len(values) > 1:
                options = [(say.CHOOSE["any"], ""), *((value, value) for value in values)]
                boxes[name] = self.dropdown(say.CHOOSE[name], options, value=getattr(now, name))
        if there.age is not None and there.age[1] > there.age[0]:
            low, high = int(there.age[0]), int(-(-there.age[1] // 1))
            held = [min(max(int(end), low), high) if end < 1e9 else high for end in now.age]
            boxes["age_low"] = self.whole(say.CHOOSE["age_low"], held[0], low, high)
            boxes["age_high"] = self.whole(say.CHOOSE["age_high"], held[1], low, high)
        fewest, most = there.visits
        for name, at in (
            ("visits_low", max(now.visits[0], fewest)),
            ("visits_high", min(now.visits[1], most)),
        ):
            boxes[name] = self.whole(say.CHOOSE[name], at, fewest, most)

        def choose(_: Any = None) -> None:
            words = {name: boxes[name].value for name in ("region", "therapist") if name in boxes}
            age = Choice().age
            if "age_low" in boxes:
                # At its ends a range asks for nothing, so that patients without an age stay in.
                ends = boxes["age_low"].value, boxes["age_high"].value
                age = age if ends == (low, high) else (float(ends[0]), float(ends[1]))
            visits = boxes["visits_low"].value, boxes["visits_high"].value
            choice = Choice(age=age, visits=visits, **words)
            try:
                chosen(result.visits, choice)
            except PlanError as error:
                fault.value = self.said(str(error))._repr_html_()
                return
            fault.value, self.choice = "", choice
            refresh()

        fault = self.w.HTML()

        for box in boxes.values():
            box.observe(self.guarded(choose), names="value")
        return self.w.VBox([self.w.HBox(list(boxes.values()), layout=self.row), fault])

    def count(self, result: Evaluation, n: int) -> Block:
        """How many patients are chosen."""
        return self.said(say.CHOOSE["patients"].format(n=f"{n:,}", of=f"{result.visits.n_patients:,}"))

    def said(self, text: str) -> Block:
        """A line that screen readers say when it changes."""
        line = blocks.text(text, kind="status")
        return Block(f'<div role="status">{line.html}</div>', line.text)


def together(result: Evaluation, part: Visits) -> list[Block]:
    """Picture and tables of several patients."""
    picture = group_picture(part, result.evidence)
    tables = [notebook.by_visit(part), notebook.attrition(part), notebook.table_one(part)]
    return tables if picture is None else [picture, *tables]
