"""Figures: what is drawn equals the result's numbers; the words beside it come from the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.visits import Visits, read_visits
from tpr_outcomes.models.candidates import HINGE, LINEAR
from tpr_outcomes.models.fitting import fit
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.worlds import WORLDS
from tpr_outcomes.reporting import drawn as shows
from tpr_outcomes.reporting.labels import p_text, signed
from tpr_outcomes.reporting.pictures import Picture, pictures
from tpr_outcomes.reporting.plot_style import STYLE, spread_apart
from tpr_outcomes.reporting.plots import all_figures, draw, figure_file
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import number


@pytest.fixture(scope="module")
def supported() -> Evaluation:
    return evaluate(simulate(WORLDS["A-thr40"], n_patients=150, seed=1), replicates=499)


@pytest.fixture(scope="module")
def unable() -> Evaluation:
    return evaluate(simulate(WORLDS["N4+fixed"], n_patients=60, seed=1), replicates=199)


@pytest.fixture(scope="module")
def gaps() -> Evaluation:
    return evaluate(simulate(WORLDS["blanks+thr40"], n_patients=100, seed=7), replicates=199)


def openly(evaluation: Evaluation) -> Evaluation:
    """Show every count, however small."""
    return replace(evaluation, plan={**evaluation.plan, "smallest_count": 1})


def picture(evaluation: Evaluation, name: str) -> Picture:
    return next(p for p in pictures(evaluation) if p.name == name)


def drawing(evaluation: Evaluation, name: str, *, narrow: bool = False) -> Figure:
    with mpl.rc_context(STYLE):
        return draw(picture(evaluation, name), narrow=narrow)


def artists(figure: Figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def line(figure: Figure, gid: str) -> tuple[np.ndarray, np.ndarray]:
    (artist,) = artists(figure, gid)
    return np.asarray(artist.get_xdata(), dtype=float), np.asarray(artist.get_ydata(), dtype=float)


def test_the_verdicts_are_what_the_tests_below_suppose(supported: Evaluation, unable: Evaluation) -> None:
    assert supported.verdict == "threshold_supported"
    assert unable.verdict == "not_identifiable"


# --- the dose picture -----------------------------------------------------------------------------


def test_the_points_are_the_dose_bands(supported: Evaluation) -> None:
    shown = picture(supported, "dose").drawn
    assert isinstance(shown, shows.DosePicture)
    figure = drawing(supported, "dose")
    (container,) = [c for c in figure.axes[0].containers if c.get_label() is not None and c[1]]
    x, y = container[0].get_data()
    np.testing.assert_array_equal(x, shown.bands.difference.at)
    np.testing.assert_array_equal(y, shown.bands.difference.estimate)
    bars = container[2][0].get_segments()
    np.testing.assert_allclose([bar[0][1] for bar in bars], shown.bands.difference.conf_low)
    np.testing.assert_allclose([bar[1][1] for bar in bars], shown.bands.difference.conf_high)


@pytest.mark.parametrize("candidate", [LINEAR, HINGE])
def test_every_curve_has_its_fitted_slope_and_the_bands_mean_height(supported: Evaluation, candidate) -> None:
    e = supported.evidence
    assert e.test is not None
    assert e.working is not None
    theta2 = e.test.profile.estimate if candidate is HINGE else None
    made = fit(candidate, e.working, theta2=theta2)
    x, y = line(drawing(supported, "dose"), candidate.name)
    expected = made.curve(x).estimate
    np.testing.assert_allclose(y - y[0], expected - expected[0], atol=1e-9)
    shown = picture(supported, "dose").drawn
    assert isinstance(shown, shows.DosePicture)
    curve = made.curve(e.ratings.dose_before).estimate
    assert y[0] + curve.mean() == pytest.approx(shown.bands.average, abs=1e-9)


def test_the_threshold_is_strong_and_marked_only_where_it_is_the_verdict(
    supported: Evaluation, unable: Evaluation
) -> None:
    figure = drawing(supported, "dose")
    assert supported.threshold is not None
    assert line(figure, "threshold")[0][0] == supported.threshold["estimate"]
    widths = {name: artists(figure, name)[0].get_linewidth() for name in ("hinge", "linear", "none")}
    assert widths["hinge"] > 2 * widths["linear"]
    other = drawing(unable, "dose")
    assert artists(other, "threshold") == []
    assert artists(other, "hinge")[0].get_linewidth() == artists(other, "linear")[0].get_linewidth()


# --- the others -----------------------------------------------------------------------------------


def test_each_line_is_one_patients_record(supported: Evaluation) -> None:
    table = supported.visits.table
    lines = artists(drawing(supported, "courses"), "patient")
    assert len(lines) == shows.MOST_LINES
    records = {
        tuple(map(tuple, group[["visit", "pain"]].to_numpy())) for _, group in table.groupby("patient")
    }
    for drawn in lines:
        points = tuple(map(tuple, np.column_stack(drawn.get_data())))
        assert any(record[: len(points)] == points for record in records)


def test_the_average_is_that_of_the_ratings(supported: Evaluation) -> None:
    figure = drawing(supported, "courses")
    x, y = line(figure, "average")
    means = supported.visits.table.groupby("visit")["pain"].mean()
    np.testing.assert_allclose(y, means.loc[x.astype(int)].to_numpy())
    shown = picture(supported, "courses").drawn
    assert isinstance(shown, shows.Courses)
    assert shown.course.without_dose is not None
    np.testing.assert_array_equal(line(figure, "without")[1], shown.course.without_dose.estimate)


def test_visits_of_fewer_than_five_are_not_drawn(gaps: Evaluation) -> None:
    counts = np.bincount(gaps.evidence.ratings.visit)
    few = set(np.flatnonzero((counts > 0) & (counts < 5)))
    assert few, "the example should have such visits"
    assert not few & set(line(drawing(gaps, "courses"), "average")[0].astype(int))
    assert not few & set(line(drawing(gaps, "spread"), "median")[0].astype(int))


def test_the_profile_is_the_deviance_and_its_interval(supported: Evaluation) -> None:
    assert supported.evidence.test is not None
    profile = supported.evidence.test.profile
    figure = drawing(supported, "profile")
    x, y = line(figure, "deviance")
    np.testing.assert_array_equal(x, profile.grid)
    np.testing.assert_array_equal(y, profile.deviance)
    (span,) = artists(figure, "interval")
    assert span.get_x() == pytest.approx(profile.conf_low)
    assert span.get_x() + span.get_width() == pytest.approx(profile.conf_high)


def test_without_a_threshold_the_profile_says_so_and_has_no_interval(unable: Evaluation) -> None:
    figure = drawing(unable, "profile")
    assert artists(figure, "interval") == []
    assert artists(figure, "estimate") == []
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "not supported: no interval is reported" in words.replace("\n", " ")
    red, green, blue = mpl.colors.to_rgb(artists(figure, "deviance")[0].get_color())
    assert max(red, green, blue) - min(red, green, blue) < 0.1, "drawn in grey"


def test_the_spread_is_every_rating_and_its_quartiles(supported: Evaluation) -> None:
    supported = openly(supported)
    r = supported.evidence.ratings
    figure = drawing(supported, "spread")
    x, y = line(figure, "ratings")
    counts = np.bincount(r.visit)
    kept = counts[r.visit] >= 5  # means of fewer say nothing, whatever may be shown
    np.testing.assert_array_equal(np.round(x), r.visit[kept])
    np.testing.assert_array_equal(y, r.dose_before[kept])
    at, median = line(figure, "median")
    np.testing.assert_allclose(median, [np.median(r.dose_before[r.visit == v]) for v in at])
    assert figure.axes[0].get_ylim()[1] >= y.max()


def test_rivals_are_full_where_beaten_and_empty_where_not(supported: Evaluation, unable: Evaluation) -> None:
    for evaluation in (supported, unable):
        assert evaluation.evidence.test is not None
        p_values = np.array(list(evaluation.evidence.test.scores.p_values.values()))
        figure = drawing(evaluation, "rivals")
        full, _ = line(figure, "p-beaten")
        empty, _ = line(figure, "p-not-beaten")
        np.testing.assert_array_equal(np.sort(full), np.sort(p_values[p_values < 0.05]))
        np.testing.assert_array_equal(np.sort(empty), np.sort(p_values[p_values >= 0.05]))
        better, _ = line(figure, "bic-beaten")
        worse, _ = line(figure, "bic-not-beaten")
        assert min(np.concatenate([better, worse])) == pytest.approx(
            evaluation.evidence.test.criteria.delta_bic
        )


def test_the_design_is_the_detectable_relief_and_the_patients_past(supported: Evaluation) -> None:
    supported = openly(supported)
    design = supported.evidence.design
    assert design is not None
    figure = drawing(supported, "design")
    x, y = line(figure, "mdr")
    seen = np.isfinite(design.mdr)
    np.testing.assert_array_equal(x, design.knots[seen])
    np.testing.assert_allclose(y, 1.25 * design.mdr[seen])
    assert line(figure, "mdr_limit")[1][0] == 1.5
    assert line(figure, "relevant")[1][0] == 1.0
    bars = artists(figure, "past")[0].get_segments()
    np.testing.assert_array_equal([bar[1][1] for bar in bars], design.patients_past)


def test_the_flow_adds_up_and_says_every_count(gaps: Evaluation) -> None:
    gaps = openly(gaps)
    shown = picture(gaps, "flow").drawn
    assert isinstance(shown, shows.Flow)
    assert shown.adds_up
    assert len(shown.left_out) >= 3
    words = " ".join(text.get_text() for text in drawing(gaps, "flow").findobj(Text))
    for count in (
        shown.rows_read,
        shown.visits,
        shown.first_ratings,
        shown.ratings,
        *shown.left_out.values(),
        shown.patients,
    ):
        assert f"{count:,}" in words


def test_the_flow_of_a_file_adds_up(tmp_path: Path) -> None:
    rows = ["patient,visit,pain,twitches", "a,1,7,3", "a,2,6,2", "", "b,1,5,1", ",,,", "b,2,4,0", "c,1,6,2"]
    path = tmp_path / "clinic.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    result = evaluate(read_visits(path), replicates=99)
    shown = shows.flow(result.visits, result.evidence, result.shown)
    assert shown.adds_up
    assert (shown.visits, shown.first_ratings, shown.ratings) == (5, 2, 2)
    assert (shown.patients, shown.patients_left_out) == (3, {"single_rating": 1})


def test_the_flow_counts_every_patient_once_with_a_reason() -> None:
    visits = Visits.from_arrays(
        patient=[0, 0, 1, 1, 2, 3, 3, 4, 4, 4],
        visit=[1, 2, 1, 2, 1, 1, 2, 1, 2, 3],
        pain=[6.0, 5.0, np.nan, 4.0, 7.0, np.nan, np.nan, 8.0, 7.0, 6.0],
        twitches=[3.0] * 10,
    )
    result = evaluate(visits, replicates=99)
    shown = shows.flow(visits, result.evidence, result.shown)
    assert shown.adds_up
    assert (shown.patients, shown.first_ratings) == (5, 2)
    assert shown.patients_left_out == {"no_first_rating": 1, "no_rating": 1, "single_rating": 1}


# --- words ----------------------------------------------------------------------------------------


def test_alternative_texts_state_the_finding(supported: Evaluation, unable: Evaluation) -> None:
    texts = {p.name: p.alt for p in pictures(supported)}
    test, design = supported.evidence.test, supported.evidence.design
    assert test is not None
    assert design is not None
    dose = picture(supported, "dose").drawn
    assert isinstance(dose, shows.DosePicture)
    assert signed(float(dose.bands.difference.estimate[-1])) in texts["dose"]
    assert number(test.profile.estimate) in texts["dose"]
    assert number(test.profile.conf_low) in texts["profile"]
    assert f"{100 * design.share_within_visit:.0f}%" in texts["spread"]
    assert p_text(test.scores.p_threshold) in texts["rivals"]
    assert f"{supported.evidence.ratings.pain.size:,}" in texts["flow"]
    other = {p.name: p.alt for p in pictures(unable)}
    assert "no interval is reported" in other["profile"]
    assert "does not beat" in other["rivals"]


def test_every_text_is_filled(supported: Evaluation, unable: Evaluation) -> None:
    for evaluation in (supported, unable):
        for p in pictures(evaluation):
            for text in (p.title, p.caption, p.alt):
                assert text
                assert "{" not in text
                assert "  " not in text


@pytest.mark.parametrize("narrow", [False, True])
def test_no_text_is_smaller_than_nine_points_where_it_is_shown(gaps: Evaluation, *, narrow: bool) -> None:
    """A page of 390 pixels leaves 358 for the figure, 1440 leaves more than the figure's own width."""
    for p in pictures(gaps):
        figure = drawing(gaps, p.name, narrow=narrow)
        shown = 358 / 96 / figure.get_figwidth() if narrow else 1.0
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
        assert min(sizes) * shown >= 9.0


# --- bytes ----------------------------------------------------------------------------------------


def test_the_same_result_gives_the_same_bytes_whatever_the_users_settings(supported: Evaluation) -> None:
    shown = picture(supported, "profile")
    before = dict(mpl.rcParams)
    first = figure_file(shown)
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30.0, "lines.linewidth": 9.0, "svg.fonttype": "none"}):
        assert figure_file(shown) == first
    assert "<text" not in first.svg, "letters are drawn, so that no font is needed"
    assert "Matplotlib" not in first.svg.partition("<defs>")[0].replace("matplotlib.org", "")
    assert first.png.startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_left_out() -> None:
    visits = Visits.from_arrays(patient=[0], visit=[1], pain=[5.0], twitches=[3.0])
    assert list(all_figures(evaluate(visits, replicates=99))) == ["flow"]


def test_a_dose_that_is_the_visit_number_still_gets_its_pictures() -> None:
    rng = np.random.default_rng(1)
    pain = rng.integers(0, 11, 160).astype(float)
    visits = Visits.from_arrays(
        patient=np.repeat(np.arange(40), 4),
        visit=np.tile(np.arange(1, 5), 40),
        pain=pain,
        twitches=np.full(160, 5.0),
    )
    made = {p.name: p for p in pictures(evaluate(visits, replicates=99))}
    assert "dose" not in made
    assert {"courses", "spread", "design", "flow"} <= set(made)
    assert "Dashed" not in made["courses"].caption
    for p in made.values():
        draw(p)


# --- labels that do not touch ---------------------------------------------------------------------


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=7),
    st.lists(st.floats(0.1, 1.0), min_size=7, max_size=7),
)
def test_labels_never_touch_and_stay_inside(values: list[float], room: list[float]) -> None:
    wanted, size = np.array(values), np.array(room[: len(values)])
    placed = spread_apart(wanted, size, -8.0, 8.0)
    order = np.argsort(wanted, kind="stable")
    gaps = np.diff(placed[order])
    needed = (size[order][1:] + size[order][:-1]) / 2
    assert (gaps >= needed - 1e-9).all()
    assert placed[order][0] - size[order][0] / 2 >= -8.0 - 1e-9
    assert placed[order][-1] + size[order][-1] / 2 <= 8.0 + 1e-9


def test_labels_with_room_stay_at_their_lines() -> None:
    np.testing.assert_allclose(
        spread_apart(np.array([3.0, 0.0, 1.5]), np.full(3, 1.0), -5, 5), [3.0, 0.0, 1.5]
    )
