"""The image, the compose file and the Kubernetes manifests speak of the program as it is, and give nothing away."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from citybrain.__main__ import main

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
KUBERNETES = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = f"citybrain:{VERSION}"
PARTS = {"api": "serve", "work": "work", "patrol": "patrol", "migrate": "migrate"}


@pytest.fixture
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def documents() -> Iterator[dict[str, Any]]:
    for path in KUBERNETES:
        yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    """The pod that each workload starts, by the workload's part."""
    found = (each for each in documents() if each["kind"] in ("Deployment", "Job"))
    return {each["metadata"]["labels"]["part"]: each["spec"]["template"]["spec"] for each in found}


@pytest.mark.parametrize("path", [ROOT / "Dockerfile", COMPOSE, *KUBERNETES], ids=lambda path: path.name)
def test_every_setting_is_one_that_the_program_reads(path: Path) -> None:
    program = "".join(each.read_text() for each in (ROOT / "citybrain").rglob("*.py"))
    for name in re.findall(r"CITYBRAIN_[A-Z_]+", path.read_text()):
        assert f'"{name}"' in program


def test_compose_and_kubernetes_start_the_same_commands_of_this_version(services: dict[str, Any]) -> None:
    assert {name: each["command"] for name, each in services.items() if each["image"] == IMAGE} == {
        part: [command] for part, command in PARTS.items()
    }
    started = {part: pod["containers"][0] for part, pod in pods().items()}
    assert {part: (each["image"], each["args"]) for part, each in started.items()} == {
        part: (IMAGE, [command]) for part, command in PARTS.items()
    }
    assert set(PARTS.values()) | {"up"} <= set(main.commands)
    (job,) = (each["metadata"]["name"] for each in documents() if each["kind"] == "Job")
    assert job == f"citybrain-migrate-{VERSION.replace('.', '-')}"


def test_no_secret_has_a_default() -> None:
    given = re.findall(r"\$\{((?:\w+_)?(?:PASSWORD|KEY))(.*?)\}", COMPOSE.read_text())
    assert {name for name, _ in given} == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD", "CITYBRAIN_ADMIN_KEY"}
    assert all(rest.startswith(":?") for _, rest in given)
    (example,) = (each for each in documents() if each["kind"] == "Secret")
    used = {
        (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
        for pod in pods().values()
        for each in pod["containers"][0]["env"]
    }
    assert used == {("citybrain", key) for key in example["stringData"]}
    assert example["metadata"]["name"] != "citybrain"  # applied as it stands, it is nobody's secret


def test_only_the_migration_is_given_the_admin_key(services: dict[str, Any]) -> None:
    name = "CITYBRAIN_ADMIN_KEY"
    assert [part for part, each in services.items() if name in each["environment"]] == ["migrate"]
    holders = (part for part, pod in pods().items() if name in (each["name"] for each in pod["containers"][0]["env"]))
    assert list(holders) == ["migrate"]


def test_only_the_api_is_published_and_only_to_this_machine(services: dict[str, Any]) -> None:
    whole = yaml.safe_load(COMPOSE.read_text())
    assert whole["networks"]["inside"]["internal"] is True
    assert {name: each["ports"] for name, each in services.items() if "ports" in each} == {
        "api": ["127.0.0.1:8000-8001:8000"]
    }
    assert {name for name, each in services.items() if "outside" in each["networks"]} == {"api", "work"}


def test_nothing_of_ours_is_root_or_writes_outside_its_folders(services: dict[str, Any]) -> None:
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {each["mountPath"] for each in container["volumeMounts"]} == {"/data", "/tmp"}
    for each in services.values():
        if each["image"] == IMAGE:
            assert each["read_only"] is True
            assert each["cap_drop"] == ["ALL"]
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), re.M)
