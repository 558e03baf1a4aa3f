"""The receiver that a request names: who may name one, and who ever learns of it."""

from dataclasses import replace

import pytest

from unit.engine.support import Scene
from videogate.engine import send
from videogate.engine.repeats import fingerprint
from videogate.engine.submit import Submissions
from videogate.engine.webhooks import CallbackRule
from videogate.media.fetch import SafeFetcher
from videogate.store.keys import KeyStore
from videogate.task.errors import InvalidRequest
from videogate.task.model import Fit, TaskSpec
from videogate.web.auth import Keys
from videogate.wire.create import read_create

LINK = "https://caller.test/hook?x=1"


async def _anything(_owner: str, _url: str) -> None:
    """A rule that lets all pass."""


async def test_which_links_a_request_may_name() -> None:
    """None with a key that may not, and safe ones with one that may; the answer names the field."""

    async def allowed(key_id: str) -> bool:
        return key_id == "trusted"

    fetcher = SafeFetcher()
    rule = CallbackRule(allowed, fetcher)
    await rule.check("trusted", LINK)
    for owner, url, code in (
        ("other", LINK, "callback_url_not_allowed"),
        ("trusted", "http://127.0.0.1/", "unsafe_url"),
        ("trusted", "https://caller.test:8443/", "unsafe_url"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await rule.check(owner, url)
        assert (refused.value.param, refused.value.code) == ("callback_url", code)
    await fetcher.close()


async def test_which_keys_may_name_one(scene: Scene) -> None:
    """Keys that were made so, those of the settings where the setting says so, and no revoked or unknown one."""
    store = KeyStore(scene.desk.database)
    plain, _ = await store.create("plain", None, 0.0)
    trusted, _ = await store.create("trusted", None, 0.0, callbacks=True)
    for setting in (False, True):
        keys = Keys(store, b"secret", ("sk-own",), lambda: 0.0, callbacks=setting)
        own = await keys.caller("sk-own")
        assert own is not None
        assert await keys.may_call_back(own.id) is setting
        assert await keys.may_call_back(trusted.id)
        assert not await keys.may_call_back(plain.id)
        assert not await keys.may_call_back("key_none")
    await store.revoke(trusted.id, 0.0)
    assert not await Keys(store, b"secret", (), lambda: 0.0).may_call_back(trusted.id)


async def test_no_receiver_is_taken_where_nobody_calls_back(scene: Scene) -> None:
    """Whoever puts submissions together without a rule has them refuse every link."""
    with pytest.raises(InvalidRequest) as refused:
        await scene.create(callback_url=LINK)

    assert refused.value.param == "callback_url"
    assert scene.desk.sql("SELECT * FROM task") == []


def test_a_receiver_is_no_option() -> None:
    """It is read from its field, in any form of body, and is not among what a vendor may be given."""
    spec = read_create({"prompt": "x", "callback_url": f" {LINK} "}, default_model="m", default_fit=Fit.NEAREST).spec

    assert (spec.callback_url, dict(spec.options)) == (LINK, {})
    empty = read_create({"prompt": "x", "callback_url": ""}, default_model="m", default_fit=Fit.NEAREST).spec
    assert empty.callback_url is None


async def test_no_vendor_learns_of_a_receiver(scene: Scene) -> None:
    """It is stored with the request, and nothing that is sent has any of it."""
    scene.submissions = Submissions(scene.shop, {}, lambda: None, _anything)
    await scene.create(callback_url=LINK)
    scene.answer(200, {"id": "job-1"})
    await send.send(scene.shop, await scene.claim())

    (sent,) = scene.sent
    assert b"caller.test" not in sent.content + bytes(sent.url.raw_path) + repr(sent.headers).encode()
    spec, _ = await scene.shop.tasks.request(scene.task_id)
    assert spec.callback_url == LINK


def test_a_receiver_is_part_of_what_is_asked() -> None:
    """Requests with other receivers are other requests; one without any is what it was before there were receivers."""
    plain = TaskSpec("text-1", "a lighthouse")
    named = replace(plain, callback_url=LINK)

    assert len({fingerprint(each) for each in (plain, named, replace(named, callback_url=f"{LINK}2"))}) == 3
    assert fingerprint(named) == fingerprint(replace(plain, callback_url=LINK))
