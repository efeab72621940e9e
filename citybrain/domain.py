"""What a domain folder provides, and how folders are found: by entry point, by CITYBRAIN_DOMAINS or in the city's pack.

A domain is one folder with `domain.toml`. With `__init__.py` and a `handler.py` that has `decide` it may work out what
rules cannot see; without any Python the rules alone decide, and a city's pack brings nothing else: it is data.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from citybrain.codec import Codec
from citybrain.identity import identity
from citybrain.routing.catalogue import Catalogue
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.manifest import Manifest, read_manifest
from citybrain.routing.report import Filed
from citybrain.routing.route import route
from geo.mistake import Mistake, Mistakes, did_you_mean

GROUP = "citybrain.domains"
VARIABLE = "CITYBRAIN_DOMAINS"
MANIFEST, HANDLER = "domain.toml", "handler.py"
OF_PACK = "domains"  # the folder of a city pack that holds the city's own

Decide = Callable[[Sequence[Filed], Context], list[Decision]]


@dataclass(frozen=True, slots=True)
class Domain:
    """`rules` names what decides here: the manifest's version, and a hash of its content and of the handler."""

    code: str
    folder: Path
    package: str | None  # None: no Python, the rules alone decide
    manifest: Manifest
    catalogue: Catalogue
    decide: Decide
    rules: str
    replaced: "Domain | None" = None  # the built-in one whose code a city's own has

    def part(self, name: str) -> ModuleType | None:
        """A further module of the folder (a gateway, routes), or None where the domain has none. A city's own
        catalogue takes the place of the built-in one and leaves its adapters at work: they know no types."""
        if self.package is not None and (self.folder / f"{name}.py").is_file():
            return importlib.import_module(f"{self.package}.{name}")
        return self.replaced.part(name) if self.replaced else None


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    package: str
    origin: Literal["built in", "named", "of the pack"]

    @property
    def has_python(self) -> bool:
        return any(self.path.glob("*.py"))


def load_domains(environ: Mapping[str, str] | None = None, pack: Path | None = None) -> dict[str, Domain]:
    """Every domain by code; raises `Mistakes` with everything that is wrong in any of them."""
    domains, mistakes = check_domains(environ, pack)
    if mistakes:
        raise Mistakes(mistakes)
    return domains


def check_domains(
    environ: Mapping[str, str] | None = None, pack: Path | None = None
) -> tuple[dict[str, Domain], list[Mistake]]:
    """The domains that can be used, and every mistake. One of the pack takes the place of a built-in one of its code:
    a city may have a catalogue of its own."""
    domains: dict[str, Domain] = {}
    origins: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for folder in find_folders(os.environ if environ is None else environ, pack):
        domain, found = load_folder(folder)
        mistakes += found
        if domain is None:
            continue
        before = origins.get(domain.code)
        if before and (before, folder.origin) != ("built in", "of the pack"):
            other = domains[domain.code].folder
            mistakes.append(
                Mistake(str(folder.path / MANIFEST), "domain.code", f"a code of its own, {other} has {domain.code}")
            )
        else:
            domain = replace(domain, replaced=domains.get(domain.code))
            domains[domain.code], origins[domain.code] = domain, folder.origin
    return domains, mistakes


def find_folders(environ: Mapping[str, str], pack: Path | None = None) -> Iterator[Folder]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = importlib.import_module(entry.value)
        for root in package.__path__:
            for path in sorted(Path(root).iterdir()):
                if (path / MANIFEST).is_file():
                    yield Folder(path, f"{entry.value}.{path.name}", "built in")
    for text in environ.get(VARIABLE, "").split(os.pathsep):
        if text.strip():
            path = Path(text.strip()).resolve()
            yield Folder(path, f"citybrain_domain_{path.name}", "named")
    for path in sorted((pack / OF_PACK).iterdir()) if pack and (pack / OF_PACK).is_dir() else ():
        if path.is_dir() and not path.name.startswith((".", "__")):
            yield Folder(path, "", "of the pack")


class NoCodec(LookupError):
    """No domain has a codec of this name."""


def find_codec(protocol: str, environ: Mapping[str, str] | None = None) -> Codec:
    """The `CODEC` of the module of this name in a domain's folder. Raises `NoCodec`, which names those there are."""
    folders = [each for each in find_folders(os.environ if environ is None else environ) if each.has_python]
    modules = [(folder, path.stem) for folder in folders for path in sorted(folder.path.glob("*.py"))]
    for folder, name in modules:
        if name == protocol and (codec := _codec(folder, name)):
            return codec
    known = []
    for folder, name in modules:
        with suppress(NoCodec):
            known += [name] if _codec(folder, name) else []
    raise NoCodec(f"no codec {protocol!r}; there are {', '.join(known)}{did_you_mean(protocol, known)}")


def _codec(folder: Folder, name: str) -> Codec | None:
    try:
        if folder.origin == "named":
            _import_folder(folder)
        codec = getattr(importlib.import_module(f"{folder.package}.{name}"), "CODEC", None)
    except Exception as error:  # as with handlers, whatever a foreign module does wrong is told
        raise NoCodec(f"{folder.path / name}.py cannot be imported ({error!r})") from None
    return codec if isinstance(codec, Codec) else None


def load_folder(folder: Folder) -> tuple[Domain | None, list[Mistake]]:
    """Reads the manifest of one folder and imports its handler, if it has one."""
    if folder.origin == "named" and not folder.path.is_dir():
        return None, [Mistake(VARIABLE, str(folder.path), f"the folder of a domain, with {MANIFEST}")]
    manifest, mistakes = read_manifest(folder.path / MANIFEST)
    mistakes += _wrong_files(folder)
    if manifest and manifest.domain.code != folder.path.name:
        what = f"the name of its folder, {folder.path.name}, found {manifest.domain.code}"
        mistakes.append(Mistake(str(folder.path / MANIFEST), "domain.code", what))
    if mistakes or manifest is None:
        return None, mistakes
    package = folder.package if folder.has_python else None
    decide = _decide(folder) if package else route
    if isinstance(decide, Mistake):
        return None, [decide]
    catalogue = Catalogue(manifest)
    handler = (folder.path / HANDLER).read_text(encoding="utf-8") if package else ""
    rules = f"{manifest.domain.version} {identity([manifest.model_dump(mode='json'), handler])}"
    return Domain(manifest.domain.code, folder.path, package, manifest, catalogue, decide, rules), []


def _wrong_files(folder: Folder) -> list[Mistake]:
    if not folder.has_python:
        return []
    if folder.origin == "of the pack":
        what = f"no Python in a city's pack, its rules decide; a domain with a handler is named in {VARIABLE}"
        return [Mistake(str(folder.path), path.name, what) for path in sorted(folder.path.glob("*.py"))]
    return [
        Mistake(str(folder.path), name, "this file in the folder of a domain that has Python")
        for name in ("__init__.py", HANDLER)
        if not (folder.path / name).is_file()
    ]


def _decide(folder: Folder) -> Decide | Mistake:
    try:
        if folder.origin == "named":
            _import_folder(folder)
        decide: Decide | None = getattr(importlib.import_module(f"{folder.package}.handler"), "decide", None)
    except Exception as error:  # whatever a foreign handler does wrong is a mistake to report, not ours to die of
        return Mistake(str(folder.path / HANDLER), "the file", f"a module that can be imported ({error!r})")
    if not callable(decide):
        return Mistake(str(folder.path / HANDLER), "decide", "a function decide(events, context) -> decisions")
    return decide


def _import_folder(folder: Folder) -> None:
    """Makes a folder outside any package importable under a name of its own."""
    init = folder.path / "__init__.py"
    known = sys.modules.get(folder.package)
    if known is not None and known.__file__ == str(init):
        return
    for name in [name for name in sys.modules if name == folder.package or name.startswith(folder.package + ".")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location(folder.package, init, submodule_search_locations=[str(folder.path)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{init} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[folder.package] = module
    spec.loader.exec_module(module)
