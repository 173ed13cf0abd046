"""The folder as an RO-Crate: what was run, on what, with which versions, and what came of it.

Process Run Crate: one action (the run) with its instrument (this package), object (the record, known by its
digest alone) and results (the files). No clock and no random ids: the same run gives the same crate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from tpr_outcomes import __version__
from tpr_outcomes.reporting import words_folder as say
from tpr_outcomes.reporting.results import Evaluation

LIBRARY = "rocrate"
CRATE = "ro-crate-metadata.json"
VERSION_DATE = "2026-11-25"
"""Day of this version: what the crate gives as its date, because a run reads no clock."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
SPECIFICATION = "1.1"
LICENCE = "https://spdx.org/licenses/BSD-3-Clause"
_KINDS = {
    "html": "text/html",
    "json": "application/json",
    "csv": "text/csv",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "tex": "application/x-tex",
}


def available() -> bool:
    """Tell whether rocrate is installed (extra ``report``)."""
    return find_spec(LIBRARY) is not None


def crate(evaluation: Evaluation, digests: Mapping[str, str], *, command: str) -> bytes | None:
    """Return the content of ``ro-crate-metadata.json``.

    Parameters
    ----------
    evaluation : Evaluation
    digests : mapping of str to str
        SHA-256 of every other file of the folder.
    command : str
        The command that makes it again.

    Returns
    -------
    bytes or None
        None without rocrate.
    """
    if not available():
        return None
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = ROCrate(version=SPECIFICATION)
    root = made.root_dataset
    root["name"], root["description"] = say.CRATE["name"], evaluation.sentence
    root["datePublished"], root["license"] = VERSION_DATE, {"@id": LICENCE}

    def entity(name: str, properties: dict[str, Any]) -> Any:
        return made.add(ContextEntity(made, name, properties=properties))

    files = []
    for path, digest in sorted(digests.items()):
        kind = _KINDS.get(path.rpartition(".")[2], "application/octet-stream")
        what = say.CRATE_FILES.get(path.partition("/")[0], "")
        facts = {"name": path, "encodingFormat": kind, "sha256": digest}
        files.append(
            made.add_file(
                dest_path=path, source=path, properties=facts | ({"description": what} if what else {})
            )
        )
    root["conformsTo"] = entity(
        PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    )
    entity(LICENCE, {"@type": "CreativeWork", "name": "BSD 3-Clause"})
    program = entity(
        "#tpr-outcomes",
        {"@type": "SoftwareApplication", "name": "tpr-outcomes", "softwareVersion": __version__},
    )
    source = evaluation.visits.source
    record = {"@type": "CreativeWork", "name": say.CRATE["record"], "encodingFormat": source.kind}
    facts = {"description": say.CRATE["private"]} | ({"sha256": source.sha256} if source.sha256 else {})
    subject = entity("#record", record | facts)
    plan = json.dumps(dict(evaluation.plan), ensure_ascii=False, sort_keys=True)
    settings = entity("#plan", {"@type": "PropertyValue", "name": say.CRATE["plan"], "value": plan})
    run = entity("#run", {"@type": "CreateAction", "name": say.CRATE["run"], "description": command})
    run["instrument"], run["object"], run["result"] = program, [subject, settings], files
    root["mentions"] = run
    return (json.dumps(made.metadata.generate(), indent=1, ensure_ascii=False) + "\n").encode()
