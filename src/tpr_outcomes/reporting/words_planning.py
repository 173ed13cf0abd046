"""Labels of the figures of planning: nothing but words."""

from __future__ import annotations

LABELS = {
    "patients": "Patients in the record",
    "supported": "Clinics called “threshold supported” (%)",
    "shape": "Clinics where a threshold shape is seen (%)",
    "not_line": "Clinics where a straight line is beaten (%)",
    "not_saturation": "Clinics where levelling off is beaten (%)",
    "not_nothing": "Clinics where “no link” is beaten (%)",
    "identifiable": "Clinics that could answer (%)",
    "limits": "Simulated clinics with a threshold at work; bars: {level} limits",
}
"""Axis labels, by question of :data:`tpr_outcomes.planning.power.QUESTIONS`."""

ASSIGNMENTS = {"observed": "as the therapist sees fit", "randomised": "target drawn by lot"}
EFFECT = "past {threshold}: −{relief} per twitch"
CURVE = "{assignment},\n{visits} visits, {effect}"
ALT = {
    "power": "{axis}, by number of patients in the record. {rows}",
    "row": "{called}: {shares}.",
    "point": "{patients} patients {share}",
}
