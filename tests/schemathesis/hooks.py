"""What Schemathesis has to know about this API that no document can say, and the checks in place of two of its own."""

import json
import os

import schemathesis
from hypothesis import strategies as st

with open(os.environ["READY_FILE"]) as file:
    READY = json.load(file)

SENDER, RECEIVER, TOKEN = (named["address"].lower() for named in (READY["senders"][0], READY["receivers"][0], READY["token"]))
# Whom the examples of the document name, and who stands for them here.
CAST = {
    "0x41c528683845350e9bfc937e0f6c72bc999b5cdc": SENDER,
    "0xaec528683845350e9bfc937e0f6c72bc999b5123": RECEIVER,
    "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2": TOKEN,
}
# Whether a request is well-formed: what the document calls valid is never refused with one of these.
# Beside what no pattern can say: which cursors there are, which decimal fits 96 bits, which day comes first and how far off,
# which numbers can be called, which addresses can be written to, which terms were published, which letters are a country's.
UNSAYABLE = (
    "cursor must be the nextCursor of an earlier page",
    "amount is larger than the contract can hold",
    "to must not be before from",
    "to must be within 366 days, from included",
    "phone.number must be a phone number of the country",
    "emailAddress must be an e-mail address",
    "externalId must have no invisible characters, and no spaces around it",
    "metadata must have at most 3000 characters as JSON",
    "lastTermsAccepted must be a version of the terms",
    "country must be the two letters of a country, such as FR",
    "content must be a file in base64",
    "type must have no invisible characters",
    "type must not be empty",
    "fileName must have no invisible characters",
    "fileName must not be empty",
)
MALFORMED = {"invalid_field", "invalid_parameter", "malformed_json", "unsupported_media_type"}

strange = st.integers(min_value=1, max_value=2**160 - 1).map(lambda number: f"0x{number:040x}")
schemathesis.openapi.format("address", st.sampled_from([SENDER, RECEIVER, TOKEN]) | strange)
# Webhooks are really sent: to nobody.
schemathesis.openapi.format("uri", st.from_regex(r"https?://127\.0\.0\.1:9/[a-z]{0,8}", fullmatch=True))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for item in raw_schema["paths"].values():
        # A stream does not end, and every other test is a request that does.
        for method in [method for method, operation in item.items() if streams(operation)]:
            del item[method]
    lower_addresses(raw_schema)
    for schema in raw_schema["components"]["schemas"].values():
        example = schema.get("example")
        if isinstance(example, dict):
            # A time in an example is past when it is tried.
            kept = {name: value for name, value in example.items() if name not in ("expiresAt", "settleAt")}
            schema["example"] = {name: CAST.get(value, value) if isinstance(value, str) else value for name, value in kept.items()}


def lower_addresses(node):
    """Mixed case must be the checksum, and no pattern can say that."""
    if isinstance(node, dict):
        if node.get("format") == "address" and "pattern" in node:
            node["pattern"] = node["pattern"].replace("a-fA-F", "a-f")
        for inner in node.values():
            lower_addresses(inner)
    elif isinstance(node, list):
        for inner in node:
            lower_addresses(inner)


def streams(operation):
    return any("text/event-stream" in answer.get("content", {}) for answer in operation["responses"].values())


# Where dialects of onboarding are spoken, whose errors have forms of their own.
DIALECTS = ("/v1/user", "/tenant/", "/api/onboarding-justifications")


def errors(response):
    if response.status_code < 400 or response.request.path_url.startswith(DIALECTS):
        return []
    return response.json()["errors"]


@schemathesis.check
def no_dialect_tells_of_a_fault(ctx, response, case):
    """One of them tells faults with 400 and a code."""
    if response.request.path_url.startswith(DIALECTS):
        assert response.status_code != 500 and "P500" not in response.text, response.text


@schemathesis.check
def valid_data_is_not_malformed(ctx, response, case):
    """A rule may refuse what is well-formed (no such wallet, too large an amount), so not every refusal is wrong."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for error in errors(response):
        assert error["code"] not in MALFORMED or error["message"] in UNSAYABLE, error


@schemathesis.check
def every_error_is_documented(ctx, response, case):
    """A 500 may be an honest answer of this API (the payer's allowance does not suffice), a fault never is."""
    documented = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    examples = documented.get("content", {}).get("application/json", {}).get("examples", {})
    for error in errors(response):
        assert error["code"] != "internal_error", error
        assert not examples or error["code"] in examples, f"{error['code']} is not among {', '.join(examples)}"
