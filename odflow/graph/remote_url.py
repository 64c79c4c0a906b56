"""URLs of stores that machines share, and what of them may be shown and kept."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.util import find_spec
from urllib.parse import quote, unquote

from odflow.errors import ConfigError, nearest

S3 = frozenset({"s3", "s3a"})
HTTP = frozenset({"http", "https"})
_ANY_CHARACTER = frozenset({"file", "local", "memory"})  # a question mark is part of a name there
_CONTAINER_FIRST = frozenset({"abfs", "abfss"})  # container@account: no user
_SECRET_FROM = 4  # characters; to take shorter ones out of a message would take it apart
_URL = re.compile(
    r"""(?P<protocol>\b[a-zA-Z][\w+.-]*)://(?P<login>[^\s/?#'"]*@)?(?P<place>[^\s?#'"]*)(?P<query>[?#][^\s'"]*)?"""
)


class RemoteUrl:
    """A URL, in parts.

    Args:
        given: such as ``s3://bucket/prefix`` or ``https://host/prefix?token``.

    Attributes:
        given: the URL as it is; for the package that speaks the protocol, and for nobody else.
        protocol: of it.
        shown: the URL without user, password, query and fragment.

    Raises:
        ConfigError: the protocol is unknown, or a package for it is not installed.
    """

    def __init__(self, given: str) -> None:
        self.protocol, _, rest = given.partition("://")
        plain = self.protocol in _ANY_CHARACTER
        place, self._query = (rest, "") if plain else _split(rest)
        self._base = f"{self.protocol}://{place.rstrip('/')}"
        self.given = self._base + self._query
        self.shown = self._base if plain else without_secrets(self._base)
        if not place.strip("/"):
            shown = without_secrets(_split(given)[0])
            wanted = 'Set ODFLOW_REMOTE to a URL such as "s3://bucket/prefix".'
            raise ConfigError(f"{shown}: is not a place. {wanted}")
        _check(self.protocol, self.shown)

    def object(self, root: str, name: str) -> str:
        """The path of an object, for the file system whose path of this URL is `root`.

        A token in a query goes with every request of HTTP.
        """
        if self.protocol in HTTP:
            return f"{self._base}/{name}{self._query.partition('#')[0]}"
        if self.protocol not in _ANY_CHARACTER:
            root = _split(root)[0]
        return f"{root.rstrip('/')}/{name}"

    def without_secrets(self, text: str) -> str:
        """A text of the protocol's package, without what this URL holds for nobody's eyes."""
        text = without_secrets(text)
        for secret in self._secrets():
            text = text.replace(secret, "...")
        return text

    def _secrets(self) -> list[str]:
        login = re.match(r"[^:]*://([^/]*)@", self.given)
        found = [self._query[1:], *re.split("[&;#]", self._query[1:])]
        found += [part.partition("=")[2] for part in found]
        if login and self.protocol not in _CONTAINER_FIRST:
            found += [login[1], login[1].partition(":")[2]]
        forms = {form for one in found for form in (one, unquote(one), quote(one), quote(one, safe=""))}
        return sorted((form for form in forms if len(form) >= _SECRET_FROM), key=len, reverse=True)


def without_secrets(text: str) -> str:
    """A text with the URLs in it cut down to protocol, host and path.

    >>> without_secrets("GET https://me:pw@host/a?sig=abc: refused")
    'GET https://host/a refused'
    """

    def cut(found: re.Match[str]) -> str:
        protocol, login, place = found["protocol"], found["login"] or "", found["place"]
        if protocol in _ANY_CHARACTER:
            return found[0]
        if protocol in _CONTAINER_FIRST and ":" not in login:
            place = login + place
        return f"{protocol}://{place}"

    return _URL.sub(cut, text)


def _split(rest: str) -> tuple[str, str]:
    place = re.split("[?#]", rest, maxsplit=1)[0]
    return place, rest[len(place) :]


def _check(protocol: str, shown: str) -> None:
    """See that a protocol can be used; nothing is contacted, and no package of it imported."""
    from fsspec.registry import get_filesystem_class, known_implementations, registry

    if protocol not in known_implementations and protocol not in registry:
        known = nearest(protocol, {*known_implementations, *registry})
        raise ConfigError(f'{shown}: protocol "{protocol}" of ODFLOW_REMOTE is unknown.{known}')
    about = known_implementations.get(protocol, {})
    package = str(about.get("class", "")).partition(".")[0]
    if package == "fsspec":
        with suppress(ImportError):
            get_filesystem_class(protocol)
            return
    elif not package or find_spec(package):
        return
    wanted = "pip install 'odflow[s3]'" if protocol in S3 else about.get("err") or f"pip install {package}"
    raise ConfigError(f"{shown}: ODFLOW_REMOTE needs a package that is not installed: {wanted}")
