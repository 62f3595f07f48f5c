"""Every example of the five documents, sent as it is printed: only lost brackets and a stray comma are mended."""

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET

PEOPLE = b"""{
  "userId": 1234567890,
  "attributes": {
    "name": "Rasmus Makwarth",
    "custom_property": true,
    "some_number": 12,
    "role": "button-pusher"
  }
}"""
TRACKED_PERSON = PEOPLE.replace(b'12,\n    "role": "button-pusher"', b"12")
COMPANY_BEFORE = b"""{
  "companyId": 101112231415,
  "attributes": {
    "name": "Acme Corp",
    "domain": "","""
COMPANY_AFTER = b"""
    "plan": "enterprise",
    "monthly_spend": 99,
    "createdAt": "2024-01-01T10:00:00Z"
  },
  "userId": 1234567890
}"""
TRACKED_COMPANY = b"""{
"companyId": 101112231415,
"attributes": {
"name": "Acme Corp",
"monthly_spend": 99,
"activated": true
},
"userId": 1234567890
}"""
EVENT = b"""{
  "event": "Sent message",
  "userId": 1234567890,
  "attributes": {
    "position": "popover",
    "version": 3
  }
}"""
TRACKED_EVENT = EVENT.removesuffix(b"\n}") + b',\n"companyId": "my_company_id"\n}'
FEEDBACK = b"""{
  "featureId": "my_feature_id",
  "userId": 1234567890,
  "companyId": 101112231415,
  "score": 4,
  "comment": "It's pretty nice, but I expect slightly more to be fully satisfied"
}"""
EVALUATED = b"""{
  "action": "evaluate",
  "key": "feature1",
  "targetingVersion": 42,
  "evalContext": {
    "user": { "id": "john_doe" }, "company": {"id": "acme_inc"}
  },
  "evalResult": false,
  "evalRuleResults": [false, false],
  "evalMissingFields": ["f1"]
}"""
REFERENCE_FEATURE_EVENTS = b"""[
  {
    "action": "evaluate-is-enabled",
    "key": "text",
    "targetingVersion": 1,
    "evalContext": {
      "user": {},
      "company": {}
    },
    "evalResult": true,
    "evalRuleResults": [
      true
    ],
    "evalMissingFields": [
      "text"
    ]
  }
]"""
AT = b'"timestamp": "2025-04-17T17:10:39.931Z"'
REFERENCE_USER = b'{\n  "userId": "text",\n  "attributes": {},\n  ' + AT + b"\n}"
REFERENCE_COMPANY = b'{\n  "userId": "text",\n  "companyId": "text",\n  "attributes": {},\n  ' + AT + b"\n}"
REFERENCE_EVENT = (
    b'{\n  "userId": "text",\n  "event": "text",\n  "attributes": {},\n  "companyId": "text",\n  ' + AT + b"\n}"
)
REFERENCE_FEEDBACK = (
    b"""{
  "feedbackId": "text",
  "userId": "text",
  "companyId": "text",
  "promptId": "text",
  "featureId": "text",
  "key": "text",
  "question": "text",
  "promptedQuestion": "text",
  "source": "api",
  "score": 1,
  "comment": "text",
  """
    + AT
    + b"\n}"
)
REFERENCE_BULK = (
    b"""[
  {
    "type": "user",
    "userId": "text",
    "attributes": {},
    """
    + AT
    + b"\n  }\n]"
)

# document, path, body; the legacy documents have the key in the path.
WRITES = [
    ("S0", "/features/events", EVALUATED),
    ("S0", "/user", PEOPLE),
    ("S0", "/company", COMPANY_BEFORE + COMPANY_AFTER),
    ("S0", "/event", EVENT),
    ("S0", "/feedback", FEEDBACK),
    ("S1", "/features/events", REFERENCE_FEATURE_EVENTS),
    ("S1", "/user", REFERENCE_USER),
    ("S1", "/company", REFERENCE_COMPANY),
    ("S1", "/event", REFERENCE_EVENT),
    ("S1", "/feedback", REFERENCE_FEEDBACK),
    ("S1", "/bulk", REFERENCE_BULK),
    ("S2", "/{key}/user", PEOPLE),
    ("S2", "/{key}/company", COMPANY_BEFORE.replace(b'""', b'"acmeinc.com"') + COMPANY_AFTER),
    ("S2", "/{key}/event", EVENT),
    ("S2", "/{key}/feedback", FEEDBACK),
    ("S4", "/{key}/user", TRACKED_PERSON),
    ("S4", "/{key}/company", TRACKED_COMPANY),
    ("S4", "/{key}/event", TRACKED_EVENT),
    ("S4", "/{key}/feedback", FEEDBACK),
]
SIMPLE = "context.company.id=42&context.user.id=99"
# What the example code of S1 makes of its example context.
REFERENCE = (
    "context.user.id=u2956&context.user.role=developer"
    "&context.company.id=c123&context.company.name=Example%20Inc&context.company.country=US"
)
REALISTIC = (
    "context.company.id=101112231415&context.company.name=Acme%20Corp&context.company.domain=acmeinc.com"
    "&context.company.plan=enterprise&context.company.monthly_spend=99&context.company.createdAt=2024-01-01T10%3A00%3A00Z"
    "&context.user.id=99&context.user.name=Rasmus%20Makwarth&context.user.role=button-pusher"
)
# document, path with its query, the key that its header carries
READS = [
    ("S0", "/features", SECRET),
    ("S0", "/features/enabled?publishableKey={key}", None),
    ("S0", f"/features/enabled?publishableKey={{key}}&{SIMPLE}", None),
    ("S0", f"/features/enabled?publishableKey={{key}}&{REALISTIC}", None),
    ("S1", "/features", SECRET),
    ("S1", f"/features/enabled?{REFERENCE}", PUBLISHABLE),
    ("S1", f"/features/evaluated?{REFERENCE}", PUBLISHABLE),
    ("S1", f"/features/enabled?{SIMPLE}&key=new-order-created", PUBLISHABLE),
    ("S2", f"/{{key}}/flags/evaluate?{SIMPLE}", None),
    ("S2", f"/{{key}}/flags/evaluate?{REALISTIC}", None),
    ("S3", "/features", SECRET),
    ("S3", f"/features/enabled?{SIMPLE}", PUBLISHABLE),
    ("S3", f"/features/evaluated?{SIMPLE}", PUBLISHABLE),
]


@pytest.mark.parametrize(("document", "path", "body"), WRITES, ids=[f"{case[0]} {case[1]}" for case in WRITES])
def test_an_example_that_writes_is_accepted(api, document, path, body):
    """The printed body, with the documented key, is a success that leaves its record behind."""
    headers = {"Content-Type": "application/json"}
    if "{key}" not in path:
        headers["Authorization"] = f"Bearer {SECRET}"

    answer = requests.post(api.url + path.format(key=PUBLISHABLE), data=body, headers=headers, timeout=10)

    assert answer.status_code == 200, (document, answer.text)
    assert answer.json()["success"] is True
    assert len(api.journal()) == 1


@pytest.mark.parametrize(("document", "path", "key"), READS, ids=[f"{case[0]} {case[1][:40]}" for case in READS])
def test_an_example_that_reads_is_answered(api, document, path, key):
    """The printed request, with the documented key, is answered with the documented members."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    answer = requests.get(api.url + path.format(key=PUBLISHABLE), headers=headers, timeout=10)

    assert answer.status_code == 200, (document, answer.text)
    expected = (
        {"flags"} if "flags" in path else {"features"} if path == "/features" else {"features", "remoteContextUsed"}
    )
    assert {"success", *expected} <= answer.json().keys()


def test_the_example_of_the_answer_is_a_definition(api):
    """What S0 prints as the answer of GET /features can be put, comes back, and turns its feature on."""
    huddle = {
        "key": "huddle",
        "targeting": {
            "version": 42,
            "rules": [
                {
                    "filter": {
                        "type": "group",
                        "operator": "and",
                        "filters": [
                            {"type": "context", "field": "company.id", "operator": "IS", "values": ["acme_inc"]},
                            {
                                "type": "rolloutPercentage",
                                "partialRolloutAttribute": "company.id",
                                "partialRolloutThreshold": 100000,
                            },
                        ],
                    }
                }
            ],
        },
    }
    assert api.put("/_emulator/features", {"success": True, "features": [huddle]}).status_code == 200

    assert api.get("/features").json()["features"][0]["targeting"]["version"] == 42
    on = api.get("/features/enabled?context.company.id=acme_inc").json()["features"]
    assert on["huddle"].items() >= {"isEnabled": True, "key": "huddle", "targetingVersion": 42}.items()
    assert api.get("/features/enabled?context.company.id=other").json()["features"] == {}
