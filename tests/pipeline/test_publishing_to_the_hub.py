"""Publishing to the hub: one commit, private unless asked, nothing of a stranger's overwritten, no token in a sentence."""

import pytest

from pipeline.errors import UserError
from pipeline.publishing import publish
from tests.pipeline.packaged import contents, write_with_card
from tests.pipeline.publishing_hub import TOKEN, serving_hub

GENERATORS = ["flux1-dev", "latent-unet"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_with_card(tmp_path_factory.mktemp("data") / "dataset", GENERATORS)


@pytest.fixture(scope="module")
def bare(dataset, tmp_path_factory):
    return publish(dataset, str(tmp_path_factory.mktemp("bare") / "publication"), without_photographs=True)


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session, disable_progress_bars

    disable_progress_bars()
    with serving_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        close_session()
        yield hub
        close_session()


def test_the_hub_gets_one_commit_with_stale_files_deleted(hub, dataset, bare, tmp_path):
    assert publish(dataset, "hub:me/pairs", without_photographs=True) == f"{hub.endpoint}/datasets/me/pairs"
    repository = hub.repositories["me/pairs"]
    assert repository["private"] and len(repository["commits"]) == 1
    assert {path: data for path, data in repository["files"].items() if path != ".gitattributes"} == contents(bare)
    assert repository["commits"][0]["summary"] == "Publish test-set without photographs"

    repository["files"]["LICENCE-NOTES.md"] = b"added by hand"
    publish(write_with_card(tmp_path / "fewer", ["flux1-dev"]), "hub:me/pairs", without_photographs=True)
    commit = repository["commits"][1]
    assert commit["deleted"] == sorted(path for path in contents(bare) if path.startswith("latent-unet/"))
    assert commit["parent"] == f"{1:040x}", "a change in between is noticed"
    assert not any(path.startswith("latent-unet/") for path in repository["files"]) and "LICENCE-NOTES.md" in repository["files"]


def test_public_only_when_asked_and_never_by_surprise(hub, dataset):
    publish(dataset, "hub:me/open", without_photographs=False, private=False)
    assert hub.repositories["me/open"]["private"] is False
    with pytest.raises(UserError, match="is public and was to be private"):
        publish(dataset, "hub:me/open", without_photographs=False)
    assert len(hub.repositories["me/open"]["commits"]) == 1


def test_photographs_once_published_stay_in_a_history(hub, dataset):
    publish(dataset, "hub:me/full", without_photographs=False)
    with pytest.raises(UserError, match="its history would keep their pixels"):
        publish(dataset, "hub:me/full", without_photographs=True)
    assert len(hub.repositories["me/full"]["commits"]) == 1


def test_somebody_elses_repository_is_not_overwritten(hub, dataset):
    repository = hub.add("me/other", {"README.md": b"x", "data/train.csv": b"x"})
    with pytest.raises(UserError, match=r"data/train\.csv and is not a former publication"):
        publish(dataset, "hub:me/other", without_photographs=False)
    assert repository["commits"] == []
    hub.add("me/empty", {"README.md": b"a first line"})
    publish(dataset, "hub:me/empty", without_photographs=False)
    assert b"test-set" in hub.repositories["me/empty"]["files"]["README.md"]


def refused(dataset, target="hub:me/pairs"):
    with pytest.raises(UserError) as fault:
        publish(dataset, target, without_photographs=False)
    text = str(fault.value)
    assert "\n" not in text and TOKEN not in text and "hf_wrong" not in text
    assert fault.value.__suppress_context__ or fault.value.__context__ is None, "a traceback would show what was sent"
    return text


def test_the_hubs_refusals_are_one_sentence_without_the_token(hub, dataset, monkeypatch):
    from huggingface_hub import constants

    assert "owner/name" in refused(dataset, "hub:pairs")
    assert "one with write access to somebody" in refused(dataset, "hub:somebody/pairs")
    hub.add("somebody/theirs", {})
    assert "one with write access to somebody" in refused(dataset, "hub:somebody/theirs")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "does not accept the token" in refused(dataset)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong\u00e9")
    assert "no token has" in refused(dataset)
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN is not set" in refused(dataset)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(dataset)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://me:password@127.0.0.1:9")
    assert "cannot reach http://127.0.0.1:9 (" in refused(dataset)
    assert set(hub.repositories) == {"somebody/theirs"}
