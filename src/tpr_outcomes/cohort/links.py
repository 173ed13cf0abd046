"""Links to a database: what ``duckdb:///clinic.db?query=…`` says, and what of it is never repeated.

A link may hold a password, and a query may name a patient. Neither is printed, logged or put into a manifest:
whoever has to name the source says :attr:`Link.shown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tpr_outcomes.errors import SourceError

SCHEMES = ("duckdb", "postgresql", "postgres")
POSTGRES_PARAMETERS = (
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "passfile",
    "service",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
)
"""What a PostgreSQL link may say beside the query; these are libpq's own words."""

_EXAMPLES = {
    "duckdb": 'tpr check "duckdb:///clinic.db?query=SELECT * FROM visits ORDER BY patient, visit"',
    "postgresql": 'tpr check "postgresql://me@host/clinic?query=SELECT * FROM visits ORDER BY patient"',
}
_AFTER_QUERY = re.compile(rf"&({'|'.join(POSTGRES_PARAMETERS)})=([^&\s]*)$")


@dataclass(frozen=True)
class Link:
    """A database and a question to it.

    Attributes
    ----------
    scheme : {"duckdb", "postgresql"}
        Which database.
    shown : str
        What may be said of it: without user, password, parameters and query.
    query : str
        One SELECT.
    path : str
        The DuckDB file.
    connection : dict of str to str
        libpq's parameters.
    """

    scheme: str
    shown: str
    query: str = field(repr=False)
    path: str = ""
    connection: dict[str, str] = field(default_factory=dict, repr=False)


def is_link(source: object) -> bool:
    """Tell whether a source is a link to a database rather than a path."""
    return isinstance(source, str) and source.partition("://")[0].lower() in SCHEMES and "://" in source


def shown(source: str) -> str:
    """Return what may be printed of a source: a path as it is, a link without its secrets.

    Parameters
    ----------
    source : str
        A path or a link.

    Returns
    -------
    str
        For example ``"postgresql://db.example.org/clinic"``.

    Examples
    --------
    >>> shown("postgresql://me:secret@db.example.org/clinic?query=SELECT 1")
    'postgresql://db.example.org/clinic'
    """
    if not is_link(source):
        return source
    scheme, _, rest = source.partition("://")
    address = rest.partition("?")[0].rpartition("@")[2]
    return f"{_canonical(scheme)}://{address}"


def parse_link(source: str) -> Link:
    """Read a link.

    Parameters
    ----------
    source : str
        ``scheme://address?parameters&query=SELECT …``. Everything after ``query=`` is the query, so that
        signs such as ``&``, ``?`` and ``+`` need no escaping; ``%20`` and the like are understood.

    Returns
    -------
    Link
        What it says.

    Raises
    ------
    SourceError
        When it has no query, a parameter that is not known, or no address.
    """
    scheme = _canonical(source.partition("://")[0])
    before, parameters, query = _parts(source.partition("://")[2])
    if not query.strip():
        raise SourceError(f"{shown(source)} comes without a query. Write for example: {_EXAMPLES[scheme]}")
    known = POSTGRES_PARAMETERS if scheme == "postgresql" else ()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        wanted = f"{', '.join(known)} and query" if known else "query alone"
        raise SourceError(f"{shown(source)} has the parameter {unknown[0]!r}; known are {wanted}.")
    query = query.strip().rstrip(";").strip()
    if scheme == "duckdb":
        return Link(scheme, shown(source), query, path=_duckdb_path(before, source))
    return Link(scheme, shown(source), query, connection=_postgres(before, source) | parameters)


def _canonical(scheme: str) -> str:
    return "postgresql" if scheme.lower() == "postgres" else scheme.lower()


def _parts(rest: str) -> tuple[str, dict[str, str], str]:
    """Split what follows the scheme into address, parameters and query."""
    before, _, after = rest.partition("?")
    found = re.search(r"(?:^|&)query=", after)
    head, query = (after[: found.start()], after[found.end() :]) if found else (after, "")
    parameters = {}
    for item in filter(None, head.split("&")):
        name, _, value = item.partition("=")
        parameters[unquote(name)] = unquote(value)
    while match := _AFTER_QUERY.search(query):
        parameters[match[1]] = unquote(match[2])
        query = query[: match.start()]
    return before, parameters, unquote(query)


def _duckdb_path(before: str, source: str) -> str:
    """Return the file: relative after three slashes, absolute after four."""
    path = unquote(before.removeprefix("/"))
    if not before.startswith("/") or not path:
        raise SourceError(
            f"{shown(source)} names no file. Write duckdb:///clinic.db for a file here, "
            "duckdb:////data/clinic.db for one elsewhere."
        )
    return path


def _postgres(before: str, source: str) -> dict[str, str]:
    """Return libpq's words for the address."""
    try:
        address = urlsplit(f"//{before}")
        port = address.port
    except ValueError as error:
        raise SourceError(
            f"The address in {shown(source)} cannot be understood; check host and port."
        ) from error
    words = {
        "host": unquote(address.hostname or ""),
        "port": str(port or ""),
        "user": unquote(address.username or ""),
        "password": unquote(address.password or ""),
        "dbname": unquote(address.path.removeprefix("/")),
    }
    return {name: value for name, value in words.items() if value}
