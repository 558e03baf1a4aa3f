"""Which dialect a request gets."""

import pytest

from videogate.task.errors import InvalidRequest
from videogate.task.state import TaskState
from videogate.wire.dialect import Dialect, choose

OPENAI, GATEWAY = Dialect.OPENAI, Dialect.GATEWAY


def header(value: str) -> dict[str, str]:
    return {"x-video-dialect": value}


def agent(value: str) -> dict[str, str]:
    return {"user-agent": value}


@pytest.mark.parametrize(
    ("path", "headers", "of_key", "default", "dialect"),
    [
        # The path wins over everything.
        ("/openai/v1/videos", header("gateway"), "gateway", "gateway", OPENAI),
        ("/openai/videos", {}, None, "gateway", OPENAI),
        # Then the header.
        ("/v1/videos", header("openai"), "gateway", "gateway", OPENAI),
        ("/v1/videos", {**header("gateway"), **agent("OpenAI/Python 3.54.0")}, "openai", "openai", GATEWAY),
        ("/v1/videos", header(" OpenAI "), None, "gateway", OPENAI),
        # Then the key's setting.
        ("/v1/videos", {}, "openai", "gateway", OPENAI),
        ("/v1/videos", agent("OpenAI/Python 3.54.0"), "gateway", "openai", GATEWAY),
        # Then the server's.
        ("/v1/videos", agent("OpenAI/Python 3.54.0"), None, "gateway", GATEWAY),
        ("/v1/videos", agent("curl/8.5.0"), None, "openai", OPENAI),
        # Then what the client is.
        ("/v1/videos", agent("OpenAI/Python 3.54.0"), None, "auto", OPENAI),
        ("/v1/videos", agent("AsyncOpenAI/Python 3.54.0"), None, "auto", OPENAI),
        ("/v1/videos", agent("AzureOpenAI/Python 3.54.0"), None, "auto", OPENAI),
        ("/v1/videos", agent("OpenAI/JS 7.57.0"), None, "auto", OPENAI),
        ("/v1/videos", agent("OpenAI/Go 3.1.0"), None, "auto", OPENAI),
        ("/v1/videos", agent("litellm/1.109.1"), None, "auto", OPENAI),
        ("/v1/videos", agent("async-openai"), None, "auto", OPENAI),
        ("/v1/videos", agent("Go-http-client/1.1"), None, "auto", OPENAI),
        ("/v1/videos", agent("Go-http-client/2.0"), None, "auto", OPENAI),
        ("/v1/videos", {"x-stainless-lang": "js"}, None, "auto", OPENAI),
        ("/v1/videos", {"x-stainless-retry-count": "0", **agent("custom/1")}, None, "auto", OPENAI),
        ("/v1/videos", {"api-key": "k"}, None, "auto", OPENAI),
        ("/v1/videos", agent("curl/8.5.0"), None, "auto", GATEWAY),
        ("/v1/videos", agent("python-requests/2.32"), None, "auto", GATEWAY),
        ("/v1/videos", agent("Mozilla/5.0 not OpenAI/1"), None, "auto", GATEWAY),
        ("/v1/videos", {}, None, "auto", GATEWAY),
        ("/videos", agent("OpenAI/JS 7.57.0"), "auto", "gateway", OPENAI),
        # A path that merely looks like it.
        ("/openaiish/videos", {}, None, "gateway", GATEWAY),
    ],
)
def test_the_order_of_choice(
    path: str, headers: dict[str, str], of_key: str | None, default: str, dialect: Dialect
) -> None:
    """Path, header, key, server, client: the first that says something decides."""
    assert choose(path, headers, of_key=of_key, default=default) is dialect


@pytest.mark.parametrize("value", ["klingon", "auto", "open ai"])
def test_a_header_that_names_none_is_refused(value: str) -> None:
    """A slip in the header is told, not guessed at."""
    with pytest.raises(InvalidRequest) as caught:
        choose("/v1/videos", header(value), of_key=None, default="auto")

    assert caught.value.param == "x-video-dialect"


@pytest.mark.parametrize("dialect", Dialect)
def test_every_state_has_a_word(dialect: Dialect) -> None:
    """Each dialect words every state, and a task that lives never reads as ended."""
    words = {state: dialect.status(state) for state in TaskState}

    ends = {words[state] for state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)}
    live = {
        words[state] for state in TaskState if state not in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)
    }
    assert not ends & live
    assert (ends, live, dialect.created) == (
        ({"completed", "failed"}, {"queued", "in_progress"}, 200)
        if dialect is OPENAI
        else ({"succeeded", "failed"}, {"processing"}, 201)
    )
