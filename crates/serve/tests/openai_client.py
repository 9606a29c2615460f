"""The official client against a server of a tiny model: what a user of it does, unchanged. Usage: openai_client.py URL KEY"""

import sys

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=60)
messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]

names = [model.id for model in client.models.list()]
assert names == ["tiny", "tiny-alias", "other", "other-alias"], names
assert client.models.retrieve("tiny").id == "tiny"

answer = client.chat.completions.create(model="tiny", messages=messages, max_tokens=12, seed=5, n=2, user="u")
assert len(answer.choices) == 2 and answer.choices[0].message.role == "assistant"
assert answer.choices[0].finish_reason in ("stop", "length")
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
again = client.chat.completions.create(model="tiny", messages=messages, max_completion_tokens=12, seed=5, n=2)
assert [c.message.content for c in again.choices] == [c.message.content for c in answer.choices]

texts, reason, usage = ["", ""], [None, None], None
with client.chat.completions.create(
    model="tiny", messages=messages, max_tokens=12, seed=5, n=2, stream=True, stream_options={"include_usage": True}
) as stream:
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reason[choice.index] = choice.finish_reason or reason[choice.index]
assert texts == [c.message.content for c in answer.choices], (texts, answer)
assert reason == [c.finish_reason for c in answer.choices]
assert usage == answer.usage

scored = client.chat.completions.create(
    model="tiny", messages=messages, max_tokens=4, logprobs=True, top_logprobs=3, logit_bias={"256": -100, "258": -100}
)
content = scored.choices[0].logprobs.content
assert len(content) == 4 and all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in content)

text = client.completions.create(model="other", prompt=["ab", "cd"], max_tokens=6, temperature=0, logprobs=2, stop=["zz"])
assert [choice.index for choice in text.choices] == [0, 1] and text.choices[0].logprobs.tokens
pieces = client.completions.create(model="other", prompt="ab", max_tokens=6, temperature=0, stream=True)
assert "".join(chunk.choices[0].text for chunk in pieces) == text.choices[0].text


def refused(kind, **request):
    try:
        client.chat.completions.create(**{"model": "tiny", "messages": messages, **request})
    except kind as error:
        return error
    raise AssertionError(f"{request} was accepted, expected {kind.__name__}")


assert refused(openai.NotFoundError, model="none").code == "model_not_found"
assert refused(openai.BadRequestError, temperature=9).param == "temperature"
long = [{"role": "user", "content": "x" * 500}]
assert refused(openai.BadRequestError, messages=long).code == "context_length_exceeded"
stranger = openai.OpenAI(base_url=url + "/v1", api_key="wrong", max_retries=0)
try:
    stranger.models.list()
    raise AssertionError("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key"

print("openai", openai.__version__, "ok")
