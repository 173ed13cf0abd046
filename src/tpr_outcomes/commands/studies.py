"""Commands about clinics whose truth is known: make one, judge many, plan a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpr_outcomes.commands.screen import (
    Bootstrap,
    Scheduler,
    Seed,
    StudyFolder,
    Workers,
    cells_of,
    progress_bar,
    show_table,
    who_works,
)
from tpr_outcomes.errors import OutputError


def simulate(
    world: Annotated[str, typer.Argument(help="A world, for example N4 or A-thr40; or: list")],
    patients: Annotated[int, typer.Option("--patients", help="Number of patients.")] = 150,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random numbers.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file, or workbook (.xlsx) with all tables.")
    ] = None,
) -> None:
    """Write a clinic whose truth is known, to try things on."""
    from tpr_outcomes.planning.simulate import to_file
    from tpr_outcomes.planning.workbook import to_workbook
    from tpr_outcomes.planning.worlds import WORLDS

    if world == "list":
        show_table(
            "Worlds", ["world", "what is true in it"], [[name, w.description] for name, w in WORLDS.items()]
        )
        return
    if out is None:
        raise typer.BadParameter("name the file to write, for example --out clinic.csv", param_hint="--out")
    if out.exists() and not out.with_suffix(".truth.json").exists():
        raise OutputError(
            f"{out} is there already and was not simulated. Name another file, or move it away."
        )
    write = to_workbook if out.suffix.lower() == ".xlsx" else to_file
    made = write(world, out, n_patients=patients, seed=seed)
    print(f"{made.rows} visits of {made.patients} patients: {made.data} (the truth: {made.truth})")


def calibrate(
    seed: Seed,
    out: StudyFolder,
    worlds: Annotated[
        str, typer.Option("--worlds", help="Worlds with commas between, or: all (tpr simulate list).")
    ] = "all",
    patients: Annotated[
        str, typer.Option("--patients", help="Patients:clinics, with commas between.")
    ] = "60:500,150:1000,400:500",
    workers: Workers = 1,
    scheduler: Scheduler = None,
    bootstrap: Bootstrap = 399,
) -> None:
    """Measure how often each verdict comes out where the truth is known; carries on where it stopped."""
    from tpr_outcomes.reporting.studies import calibration_study

    with progress_bar() as tell:
        table = calibration_study(
            out,
            worlds=worlds,
            patients=patients,
            seed=seed,
            bootstrap=bootstrap,
            workers=who_works(workers, scheduler),
            progress=lambda done, of: tell("judging simulated clinics", done / of),
        )
    shown = ["world", "patients", "clinics", "threshold_supported", "supported_mcse", "supported_high"]
    show_table("Threshold supported, percent", shown, cells_of(table[shown]))
    print(f"All numbers: {out / 'operating-characteristics.csv'}")


def power(
    seed: Seed,
    out: StudyFolder,
    patients: Annotated[str, typer.Option("--patients", help="Patients, commas between.")] = "60,150,400",
    visits: Annotated[str, typer.Option("--visits", help="Visits planned, commas between.")] = "12",
    thresholds: Annotated[str, typer.Option("--thresholds", help="Twitches, commas between.")] = "30",
    slopes: Annotated[
        str, typer.Option("--slopes", help="Points per twitch past it; relief is negative.")
    ] = "-0.05",
    target: Annotated[int, typer.Option("--target", help="Twitch target, against 0, by lot.")] = 8,
    only: Annotated[str, typer.Option("--only", help="observed or randomised; both if not given.")] = "",
    world: Annotated[str, typer.Option("--world", help="How the clinic works, without an effect.")] = "N4",
    clinics: Annotated[int, typer.Option("--clinics", help="Simulated clinics of each kind.")] = 200,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    bootstrap: Bootstrap = 399,
) -> None:
    """How many patients and visits to tell a threshold from a line, from levelling off, from nothing?"""
    from tpr_outcomes.reporting.studies import power_rows, power_study

    with progress_bar() as tell:
        result = power_study(
            out,
            patients=patients,
            visits=visits,
            thresholds=thresholds,
            slopes=slopes,
            only=only,
            target=target,
            world=world,
            clinics=clinics,
            seed=seed,
            bootstrap=bootstrap,
            workers=who_works(workers, scheduler),
            progress=lambda done, of: tell("judging simulated clinics", done / of),
        )
    rows = power_rows(result)
    show_table(
        "Percent of clinics (± Monte Carlo standard error)", list(rows[0]), [list(r.values()) for r in rows]
    )
    print(f"All numbers: {out / 'power.csv'}; figure: {out / 'power.svg'}")
