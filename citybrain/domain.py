"""What a domain folder provides, and how folders are found: by entry point or by CITYBRAIN_DOMAINS, never by import.

A domain is one folder with `domain.toml`, `__init__.py` and a `handler.py` that has `decide`.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from citybrain.identity import identity
from citybrain.routing.catalogue import Catalogue
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.manifest import Manifest, read_manifest
from citybrain.routing.report import Filed
from geo.mistake import Mistake, Mistakes

GROUP = "citybrain.domains"
VARIABLE = "CITYBRAIN_DOMAINS"
MANIFEST, HANDLER = "domain.toml", "handler.py"

Decide = Callable[[Sequence[Filed], Context], list[Decision]]


@dataclass(frozen=True, slots=True)
class Domain:
    """`rules` names what decides here: the manifest's version, and a hash of its content and of the handler."""

    code: str
    folder: Path
    package: str
    manifest: Manifest
    catalogue: Catalogue
    decide: Decide
    rules: str

    def part(self, name: str) -> ModuleType | None:
        """A further module of the folder (a codec, a gateway, routes), or None where the domain has none."""
        if not (self.folder / f"{name}.py").is_file():
            return None
        return importlib.import_module(f"{self.package}.{name}")


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    package: str
    loose: bool  # not below an importable package: to be loaded from its path


def load_domains(environ: Mapping[str, str] | None = None) -> dict[str, Domain]:
    """Every domain by code; raises `Mistakes` with everything that is wrong in any of them."""
    domains, mistakes = check_domains(environ)
    if mistakes:
        raise Mistakes(mistakes)
    return domains


def check_domains(environ: Mapping[str, str] | None = None) -> tuple[dict[str, Domain], list[Mistake]]:
    """The domains that can be used, and every mistake."""
    domains: dict[str, Domain] = {}
    mistakes: list[Mistake] = []
    for folder in find_folders(os.environ if environ is None else environ):
        domain, found = load_folder(folder)
        mistakes += found
        if domain is None:
            continue
        if domain.code in domains:
            other = domains[domain.code].folder
            mistakes.append(
                Mistake(str(folder.path / MANIFEST), "domain.code", f"a code of its own, {other} has {domain.code}")
            )
        else:
            domains[domain.code] = domain
    return domains, mistakes


def find_folders(environ: Mapping[str, str]) -> Iterator[Folder]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = importlib.import_module(entry.value)
        for root in package.__path__:
            for path in sorted(Path(root).iterdir()):
                if (path / MANIFEST).is_file():
                    yield Folder(path, f"{entry.value}.{path.name}", loose=False)
    for text in environ.get(VARIABLE, "").split(os.pathsep):
        if text.strip():
            path = Path(text.strip()).resolve()
            yield Folder(path, f"citybrain_domain_{path.name}", loose=True)


def load_folder(folder: Folder) -> tuple[Domain | None, list[Mistake]]:
    """Reads the manifest and imports the handler of one folder."""
    manifest, mistakes = read_manifest(folder.path / MANIFEST)
    mistakes += [
        Mistake(str(folder.path), name, "this file in the folder of a domain")
        for name in ("__init__.py", HANDLER)
        if not (folder.path / name).is_file()
    ]
    if manifest and manifest.domain.code != folder.path.name:
        what = f"the name of its folder, {folder.path.name}, found {manifest.domain.code}"
        mistakes.append(Mistake(str(folder.path / MANIFEST), "domain.code", what))
    if mistakes or manifest is None:
        return None, mistakes
    decide = _decide(folder)
    if isinstance(decide, Mistake):
        return None, [decide]
    catalogue = Catalogue(manifest)
    content = [manifest.model_dump(mode="json"), (folder.path / HANDLER).read_text(encoding="utf-8")]
    rules = f"{manifest.domain.version} {identity(content)}"
    return Domain(manifest.domain.code, folder.path, folder.package, manifest, catalogue, decide, rules), []


def _decide(folder: Folder) -> Decide | Mistake:
    try:
        if folder.loose:
            _import_folder(folder)
        decide = getattr(importlib.import_module(f"{folder.package}.handler"), "decide", None)
    except Exception as error:  # whatever a foreign handler does wrong is a mistake to report, not ours to die of
        return Mistake(str(folder.path / HANDLER), "the file", f"a module that can be imported ({error!r})")
    if not callable(decide):
        return Mistake(str(folder.path / HANDLER), "decide", "a function decide(events, context) -> decisions")
    return decide  # type: ignore[no-any-return]


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
