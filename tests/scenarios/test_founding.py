"""Three officers on three machines found an alliance and keep it going, m = 2."""

from __future__ import annotations

import json
import shutil
import threading
import time

import pytest

from tests.scenarios.town import ALLIANCE, Town


@pytest.fixture
def empty(tmp_path):
    town = Town(tmp_path)
    yield town
    town.stop()


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """A stopped town with the member maison; copied by each test that changes it."""
    town = Town(tmp_path_factory.mktemp("town"))
    try:
        town.found()
        town.join("maison")
        town.admit("maison")
        town.publish("a.example", "b.example")
        town.hub(
            "carla", "registry", "show", town.path("first.json"), "--pin", town.pin
        )
    finally:
        town.stop()
    return town


@pytest.fixture
def town(founded, tmp_path):
    """A running copy of the town."""
    shutil.copytree(founded.folder, tmp_path / "town")
    copy = Town(tmp_path / "town", founded.ports)
    copy.serve()
    yield copy
    copy.stop()


def test_three_officers_found_an_alliance(empty):
    """The first batch needs two of them, and an empty node that has only the pin."""
    file = empty.create()
    empty.serve()
    # Nobody joins what is not founded, and nothing is left of the attempt.
    empty.join("maison", status=5)
    assert not empty.path("maison").exists()
    # One signature is too few, here and at the node.
    empty.hub("anna", "registry", "submit", file, status=5)
    assert "1 of 2" in empty.said
    # Somebody who is no officer cannot sign.
    empty.hub("dora", "officer", "new", ALLIANCE, "dora")
    words = ("registry", "sign", file, "--pin", empty.pin)
    empty.hub("dora", *words, status=5)
    assert "officer" in empty.said
    shown = empty.hub("berta", "registry", "show", file, "--pin", empty.pin)
    assert (shown["signed_by"], shown["threshold"]) == (["anna"], 2)
    assert shown["present"]
    assert not shown["complete"]
    assert shown["warnings"] == []
    assert "Founds the alliance" in shown["words"][0]
    assert empty.hub("berta", *words) == {
        "signatures": 2,
        "threshold": 2,
        "complete": True,
    }
    answer = empty.hub("berta", "registry", "submit", file)
    assert answer["size"] == len(shown["words"]) + 1
    # Sent again, it is there already; the first officer learns of it by asking.
    assert empty.hub("anna", "registry", "submit", file)["first"] == 0
    assert empty.hub("anna", "registry", "show", file)["accepted_at"] == 0
    empty.join("maison")
    empty.admit("maison")
    empty.publish("a.example")
    assert empty.audit()["ok"]
    assert empty.hub("maison", "whoami")["owner"] == "member/maison"
    assert empty.hub("node1", "whoami")["owner"] == "node/node1"
    found = empty.hub("anna", "whoami")
    assert (found["owner"], found["officer"]) == ("officer/anna", True)
    assert found["officers"] == ["anna", "berta", "carla"]
    for name in ("anna", "node1", "maison"):
        assert empty.hub(name, "doctor", "--url", empty.url())["ok"]


def test_mistakes_at_joining_leave_nothing_behind(town):
    """A wrong pin, another alliance, a hub that is away, a name or folder in use."""
    good = ("--pin", town.pin, "--as", "member", "--name")
    town.hub("maison", "join", town.url(), *good, "other", status=2)
    assert "in use" in town.said
    config = town.path("maison", "config.toml").read_text()
    assert 'name = "maison"' in config
    town.hub("new", "join", town.url(), *good, "maison", status=5)
    assert "in the registry" in town.said
    town.hub("new", "join", "http://127.0.0.1:9", *good, "market", status=6)
    town.hub(
        "new",
        "join",
        f"http://localhost:{town.ports['node1']}",
        *good,
        "market",
        status=5,
    )
    assert "public URL" in town.said
    pin = json.loads(town.pin.read_text())
    for change in ({"threshold": 1}, {"officers": pin["officers"][:2]}):
        wrong = town.path("wrong.json")
        wrong.write_text(json.dumps({**pin, **change}))
        words = ("--pin", wrong, "--as", "member", "--name", "market")
        town.hub("new", "join", town.url(), *words, status=5)
        assert "leads from this pin" in town.said
    town.hub(
        "new",
        "join",
        town.url(),
        "--pin",
        town.path("none"),
        "--as",
        "member",
        "--name",
        "market",
        status=2,
    )
    assert not [p for p in town.folder.iterdir() if "new" in p.name]


def test_a_stale_proposal_is_proposed_again(town):
    """It was overtaken: nobody signs it, and its entries go on the present head."""
    town.join("market")
    request = town.path("market", "request.json")
    slow = town.propose("anna", "member", "add", request, name="slow.json")
    # The same officer has signed for this head, and is told.
    town.propose("anna", "policy", "--quota", "open=5", name="x.json", status=5)
    assert "signed another" in town.said
    assert not town.path("x.json").exists()
    fast = town.propose("berta", "policy", "--quota", "open=5", name="fast.json")
    shown = town.hub("anna", "registry", "show", fast)
    assert any("convict" in w for w in shown["warnings"])
    town.carry(fast, "carla")
    shown = town.hub("berta", "registry", "show", slow)
    assert not shown["present"]
    town.hub("berta", "registry", "sign", slow, status=5)
    assert "--again" in town.said
    town.hub("anna", "registry", "submit", slow, status=5)
    made = town.hub("anna", "registry", "propose", "--again", slow)
    assert made["signatures"] == 1
    town.carry(slow, "berta")
    town.hub("market", "pull")
    town.hub("anna", "registry", "propose", "--again", slow, status=5)
    assert "already" in town.said


def test_entries_of_a_file_are_tried_before_they_are_signed(town):
    """What the registry would refuse is never signed; a good file is one batch."""
    file = town.path("entries.jsonl")
    file.write_text(
        '{"kind":"grant","member":"nobody","class":"open","count":1,'
        '"until":"2027-01-01T00:00:00Z"}\n'
    )
    town.hub("anna", "registry", "propose", file, status=2)
    assert "not a member" in town.said
    file.write_text('{"kind":"grant","member":"maison"}\n')
    town.hub("anna", "registry", "propose", file, status=2)
    file.write_text('{"kind":"policy","quorum":0,"salt":"x"}\n')
    town.hub("anna", "registry", "propose", file, status=2)
    assert "leave them out" in town.said
    file.write_text(
        '{"kind":"member","name":"market","title":"Market AG"}\n'
        '{"kind":"grant","member":"maison","class":"open","count":1,'
        '"until":"2027-01-01T00:00:00Z"}\n'
    )
    made = town.propose("anna", "registry", "propose", file)
    town.carry(made, "carla")
    # A proposal that was altered on its way is refused.
    other = town.propose("anna", "policy", "--fresh-hours", 12, name="q.json")
    body = json.loads(other.read_text())
    body["entries"][0] = body["entries"][0].replace(
        '"fresh_hours":12', '"fresh_hours":1'
    )
    other.write_text(json.dumps(body))
    town.hub("berta", "registry", "sign", other, status=2)
    assert "not those that the note" in town.said


def test_an_officer_is_replaced_and_orders_an_erasure(town):
    """Two of the officers before sign the change; the one who left signs no more."""
    town.hub("dora", "officer", "new", ALLIANCE, "dora", "--url", town.url())
    vkey = town.path("dora", "dora.vkey")
    town.carry(town.propose("anna", "officer", "replace", "berta", vkey), "berta")
    order = town.propose("anna", "erase", "maison/1", "--ground", "court-order")
    town.hub("berta", "registry", "sign", order, status=5)
    assert "no key of this folder is an officer's" in town.said
    town.carry(order, "dora")
    town.hub("maison", "pull")
    shown = town.hub("maison", "show", "maison/1")
    assert (shown["state"], shown["line"]) == ("erased", None)
    assert town.audit()["ok"]
    # Fewer officers than the threshold asks for would freeze the registry.
    town.hub("anna", "officer", "remove", "dora", "--threshold", 3, status=2)
    town.hub("anna", "officer", "replace", "nobody", vkey, status=5)
    file = town.propose(
        "anna", "officer", "remove", "dora", "--threshold", 1, name="r.json"
    )
    town.carry(file, "carla")
    # One officer suffices now, so the command signs and submits at once.
    done = town.hub("carla", "policy", "--fresh-hours", 12)
    assert done["done"] == "Set the policy."


def test_a_key_is_rotated_while_publishing_goes_on(town):
    """Nothing that was published becomes void, and the audit finds nothing."""
    hosts, stop = [], threading.Event()

    def keep_publishing():
        while not stop.is_set():
            host = f"shop{len(hosts)}.example"
            file = town.path("many.csv")
            file.write_text(f"domain\n{host}\n")
            done = town.run("maison", "publish", file)
            # In the instant in which its key closes, a batch is refused whole.
            assert done.returncode in (0, 5), done.stderr
            if done.returncode == 0:
                hosts.append(host)

    publisher = threading.Thread(target=keep_publishing)
    publisher.start()
    try:
        request = town.hub("maison", "key", "rotate")
        assert (request["key"]["label"], request["closes"]) == ("k2", "k1")
        file = town.path("maison", "key-k2.json")
        # The index is stale as soon as something was published; room is left instead.
        made = town.propose("anna", "key", "add", file, "--index", 1000)
        town.carry(made, "berta")
        seen = len(hosts)
        while len(hosts) < seen + 3:
            time.sleep(0.1)
    finally:
        stop.set()
        publisher.join()
    found = town.audit()
    assert (found["ok"], found["void"]) == (True, [])
    reports = town.hub("maison", "reports")["reports"]
    assert len(reports) == len(hosts) + 2
    # The member's folder took the new key by itself, once the registry had it.
    signed = [
        town.hub("maison", "show", report["entry"])["batch"]["signed_by"]
        for report in (reports[0], max(reports, key=_index))
    ]
    assert [name.rpartition("/")[2] for name in signed] == ["k1", "k2"]
    # The old key is no more; a thief of it asks for nothing.
    for name in ("publish-k2.key", "publish-k2.label"):
        town.path("maison", "private", name).unlink()
    town.hub("maison", "whoami", status=5)


def _index(report):
    return int(report["entry"].partition("/")[2])


def test_a_rotation_that_was_overtaken_is_proposed_again(town):
    """The home refuses it rather than void what came in between."""
    town.hub("maison", "key", "rotate")
    file = town.path("maison", "key-k2.json")
    made = town.propose("anna", "key", "add", file)
    town.publish("c.example")
    town.hub("berta", "registry", "sign", made)
    town.hub("berta", "registry", "submit", made, status=5)
    assert "would be void" in town.said
    town.hub("berta", "registry", "propose", "--again", made, "--although-signed")
    town.hub("anna", "registry", "sign", made, "--although-signed")
    town.hub("anna", "registry", "submit", made)
    town.publish("d.example")
    found = town.audit()
    assert (found["ok"], found["void"]) == (True, [])
    assert len(town.hub("maison", "reports")["reports"]) == 4


def test_the_registrys_home_is_lost_and_another_node_goes_on(town):
    """The home entry names the head that the second node holds."""
    listen = ("--listen", f"127.0.0.1:{town.ports['node2']}")
    request = town.join("node2", "node", *listen)
    assert request["token_keys"] == []
    town.admit("node2", "node")
    town.hub("node2", "pull")
    assert town.hub("node2", "whoami")["owner"] == "node/node2"
    town.stop("node1")
    town.serve("node2")
    move = ("home", "move", "--all", "--node", "node2")
    # The officers' folders never saw that node, so they are told where it is.
    town.propose("anna", *move, name="move.json", status=6)
    assert "--url" in town.said
    ask = ("--url", town.url("node2"))
    file = town.propose("anna", *move, *ask, name="move.json")
    # Until then the second node takes no batch and says whose home it is not.
    there = {"HUB__CLIENT__HUBS": town.url("node2")}
    town.hub("maison", "withdraw", "maison/1", environ=there, status=6)
    town.hub("carla", "registry", "sign", file, *ask)
    # The node has just started and cannot compare heads with the lost one: it waits.
    for _ in range(60):
        done = town.run("carla", "registry", "submit", file)
        if done.returncode != 6:
            break
        assert "just started" in done.stderr
        time.sleep(3)
    assert done.returncode == 0, done.stderr
    shown = town.hub("carla", "registry", "show", file)
    assert shown["accepted_at"] is not None
    # The batch that waited in the journal is sent to the new home.
    town.hub("maison", "withdraw", "maison/2", environ=there)
    found = town.audit(environ=there)
    assert found["ok"], found["findings"]
    assert town.hub("maison", "reports")["reports"] == []
    # The officers go on there too.
    rest = ("--pin", town.pin, "--as", "auditor", "--name", "aud")
    town.hub("aud", "join", town.url("node2"), *rest)
    town.admit("aud", "auditor")
    assert town.audit("aud")["ok"]


def test_a_stolen_log_key_is_replaced(town):
    """The operator makes another, and the officers move all feeds to it."""
    town.hub("node1", "key", "rotate", "--role", "log")
    file = town.path("node1", "key-log-2.json")
    town.carry(town.propose("anna", "key", "add", file), "berta")
    town.publish("c.example")
    assert town.audit()["ok"]
    town.hub("node1", "key", "rotate", "--role", "request")
    file = town.path("node1", "key-request-3.json")
    town.carry(town.propose("anna", "key", "add", file, name="r.json"), "berta")
    # Answers to token requests are signed with the new request key at once.
    town.publish("d.example")
    assert town.audit()["ok"]


def test_keys_that_are_lost_are_replaced(town):
    """Nothing of the old key is needed: the officers know the owner by other ways."""
    private = town.path("maison", "private")
    (private / "publish.key").unlink()
    town.hub("maison", "publish", town.path("none.csv"), status=2)
    town.hub("maison", "key", "rotate", status=5)
    request = town.hub("maison", "key", "new", "--closes", "k1")
    assert request["key"]["label"] == "k2"
    made = town.propose("anna", "key", "add", request["file"], name="k2.json")
    town.carry(made, "berta")
    town.publish("c.example")
    # A node without its log key signs nothing, not even the batch that brings another:
    # the new key signs that one.
    (town.path("node1", "private") / "log.key").unlink()
    request = town.hub("node1", "key", "new", "--role", "log", "--closes", "log")
    town.stop("node1")
    town.serve()
    town.publish("d.example", status=5)
    made = town.propose("anna", "key", "add", request["file"], name="log.json")
    town.carry(made, "carla")
    town.publish("d.example")
    found = town.audit()
    assert (found["ok"], found["void"]) == (True, [])
    assert len(town.hub("maison", "reports")["reports"]) == 4


def test_a_node_moves_to_the_url_of_its_proxy(town):
    """Members follow the registry; requests are signed for the new URL."""
    new = f"http://localhost:{town.ports['node1']}"
    file = town.propose("anna", "node", "move", "node1", "--url", new)
    town.carry(file, "berta")
    town.stop("node1")
    config = town.path("node1", "config.toml")
    config.write_text(config.read_text().replace(town.url(), new))
    town.serve()
    environ = {"HUB__CLIENT__HUBS": new}
    town.publish("c.example", environ=environ)
    assert town.audit(environ=environ)["ok"]
