"""A token, and a password in the hub's address, are in no file, log or error, whatever the hub answers."""

import copy
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pipeline import hub as our_hub
from pipeline.errors import UserError
from pipeline.launching import launch
from tests import http_server
from tests.pipeline.model_hub import COMMIT, ModelHub, Repository, serving, use
from tests.pipeline.test_weights import PIPELINE
from tests.project import ROOT

CANARY, PASSWORD = "hf_CanaryCanaryCanaryCanaryCanary42", "Passw0rdCanary"
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())


STAGES = {"benchmark": "other", "photographs": None, "models": "made"}
"""Those that read rows from the hub, and what of."""
IN_ONE_PROCESS = """
import runpy, sys, time
time.sleep = lambda seconds: None  # what the hub's library waits between its tries
for command in sys.argv[1:]:
    sys.argv = command.split()
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print(command, "ended with", end.code)
"""


def write_params(folder: Path, **model) -> None:
    """Parameters that need the hub for photographs, two generators, one of them imported, and a benchmark."""
    params = copy.deepcopy(DEFAULT)
    pretrained = {"kind": "pretrained", "id": "someone/flux", "revision": COMMIT, "licence": "MIT", "gated": True, **model}
    entry = {"kind": "diffusers", "family": "flow", "mode": "text-to-image", "licence": "MIT", "batch_size": 4}
    images = {"kind": "images", "dataset": "someone/other", "revision": COMMIT}
    imported = {"kind": "imported", "family": "flow", "mode": "import", "licence": "MIT", "batch_size": 4, "model": images}
    params["generators"] = {"flux": {**entry, "model": pretrained}, "made": imported}
    params["photographs"] |= {"kind": "hub", "source": "other.yaml"}
    params["benchmarks"] = {"other": {"kind": "dataset", "source": "other.yaml", "licence": "MIT"}}
    (folder / "other.yaml").write_text(f"dataset: someone/other\nrevision: {COMMIT}\nlabel: label\n")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def leaks(folder: Path, *printed: str) -> list[str]:
    """Where one of the secrets stands."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = {f"output {number}": text.encode() for number, text in enumerate(printed)}
    return [where for where, content in {**files, **said}.items() if CANARY.encode() in content or PASSWORD.encode() in content]


def everything(folder: Path, endpoint: str) -> list[subprocess.CompletedProcess]:
    """What check, preflight, the stage that fetches and those that read rows say, with the secrets in their environment."""
    write_params(folder)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_TOKEN": CANARY,
        "HF_ENDPOINT": endpoint.replace("//", f"//user:{PASSWORD}@"),
        "HF_HOME": str(folder / "hub"),
        "HF_DEBUG": "0",
        "PYTHONPATH": str(ROOT),
    }
    reading = [f"stages.{stage} {key or ''}" for stage, key in STAGES.items()]
    commands = (
        ["-m", "detector.cli", "check"],
        ["-m", "detector.cli", "preflight"],
        ["-m", "stages.models", "flux"],
        ["-c", IN_ONE_PROCESS, *reading],
    )
    return [subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True) for command in commands]


@pytest.mark.parametrize("answer", [403, None], ids=["denied", "unreachable"])
def test_no_command_tells_a_secret(tmp_path, answer):
    with serving(ModelHub(status=answer)) as hub:
        endpoint = hub.endpoint
        done = everything(tmp_path, endpoint) if answer else []
    done = done or everything(tmp_path, endpoint)  # nobody is there any more
    check, preflight, models, reading = done
    assert check.returncode == 0, check.stderr
    for process, key in ((preflight, "benchmarks.other"), (preflight, "generators.flux.model"), (models, "generators.flux.model")):
        assert process.returncode == 1 and key in process.stderr and "Traceback" not in process.stderr, process.stderr
        assert ("refuses access" if answer else "cannot be reached") in process.stderr
    assert reading.stdout.count("ended with 1") == len(STAGES) and "Traceback" not in reading.stderr, reading.stderr
    assert answer or "thrown while requesting" in reading.stderr, "the library tells of its tries, without the address's password"
    assert leaks(tmp_path, *(text for process in done for text in (process.stdout, process.stderr))) == []
    if answer:
        assert hub.requests, "the hub was asked"


def test_what_a_download_writes_holds_no_secret(tmp_path, monkeypatch, capfd, caplog):
    from pipeline.weights import record_weights
    from tests.pipeline.models.test_pretrained import pretrained

    caplog.set_level(0)
    with serving(ModelHub({"someone/flux": Repository(PIPELINE, gated=True)}, accepted={CANARY}, known={CANARY})) as hub:
        use(monkeypatch, hub, tmp_path / "cache")
        monkeypatch.setenv("HF_TOKEN", CANARY)
        record_weights(tmp_path / "flux", "flux", pretrained.Settings(id="someone/flux", revision=COMMIT, licence="MIT"))
    assert (tmp_path / "flux/weights.json").is_file()
    assert leaks(tmp_path, caplog.text, *capfd.readouterr()) == []


@contextmanager
def silent():
    """A hub that takes requests and never answers."""
    done = threading.Event()

    class Silent(http_server.Answering):
        def do_GET(self):
            done.wait(60)

        do_HEAD = do_GET

    with http_server.serving(Silent) as address:
        try:
            yield ModelHub(endpoint=address)
        finally:
            done.set()


def test_a_hub_that_never_answers_ends_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(our_hub, "TIMEOUT", 0.2)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # what the library waits between its tries
    asking = {
        "listing": lambda: our_hub.hub_files("key", "someone/flux", COMMIT, None),
        "main": lambda: our_hub.commit_of_main("key", "someone/flux"),
        "access": lambda: our_hub.require_access("key", "someone/flux", COMMIT, "config.json"),
        "dataset": lambda: our_hub.require_dataset("key", "someone/flux", COMMIT),
        "files": lambda: our_hub.fetch("key", "someone/flux", COMMIT, ["config.json"]),
    }
    with silent() as hub:
        use(monkeypatch, hub, tmp_path / "cache")
        monkeypatch.setenv("HF_TOKEN", CANARY)
        for what, ask in asking.items():
            with pytest.raises(UserError, match=r"^key: 127.0.0.1 cannot be reached for someone/flux \(") as error:
                ask()
            assert CANARY not in str(error.value), what


@pytest.mark.parametrize("written", ["$HF_TOKEN", "${HF_TOKEN}/bin -x", "'$HF_TOKEN"])
def test_a_launcher_is_quoted_as_it_was_written(monkeypatch, written):
    monkeypatch.setenv("HF_TOKEN", CANARY)
    with pytest.raises(UserError, match="HF_TOKEN") as error:
        launch(written)
    assert CANARY not in str(error.value)
