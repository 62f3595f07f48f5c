"""Exports of known tools: how each is recognised, what its rows are, and where its ids, names and times stand.

One row a table or file that a tool writes. A pattern matches the whole of a column's words (`names.py`): lower case,
`_` for blanks, without `properties.` and the like before it. What a row does not say is guessed as for any table.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.model import COMPANY, EVENT, FEEDBACK, USER, Kind
from bucket_loader.runs.init.evidence import Sample
from bucket_loader.runs.init.roles import APP_COMPANY, APP_USER, Names, names


@dataclass(frozen=True, kw_only=True)
class Export:
    """A table or file that a tool writes.

    Attributes:
        tool: who writes it, and what it is.
        has: patterns of columns that it has; each must be met.
        lacks: a pattern of columns that it has not.
        shapes: of columns: which form most of their values have.
        label: a pattern that the file's name must hold.
        kind: what a row is; None where it is no record of Bucket.
        fields: for each field the names of its column, best guess first.
        constants: for each field a value, where no column holds it.
        rows: the column that says what each row is, and the values of those that are meant here.
        anonymous: how ids begin that the tool made up for visitors without a name.
    """

    tool: str
    has: Names
    lacks: str = ""
    shapes: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    kind: Kind | None
    fields: Mapping[str, Names] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, str] | None = None
    anonymous: str = ""

    def fits(self, sample: Sample, label: str) -> bool:
        """Whether a sample is of this export."""
        return (
            re.search(self.label, label) is not None
            and all(sample.called(pattern) for pattern in self.has)
            and not (self.lacks and sample.called(self.lacks))
            and all(_has_shape(sample, name, form) for name, form in self.shapes.items())
            and (self.rows is None or bool(self.values_in(sample)))
        )

    def values_in(self, sample: Sample) -> list[str]:
        """Return the values, of those that say what a row is, that occur in a sample."""
        if self.rows is None:
            return []
        name, wanted = self.rows
        found = [column for column in sample.called(name) if column.leaf is None]
        return sorted({text for column in found for text in column.texts if re.fullmatch(wanted, text)})


def _has_shape(sample: Sample, name: str, form: str) -> bool:
    return any(column.count(form) * 2 > len(column.values) for column in sample.called(name) if column.values)


_SALESFORCE: Final = r"{}[A-Za-z0-9]{{12}}(?:[A-Za-z0-9]{{3}})?"
_MESSAGE: Final = "type user_?id anonymous_?id|message_?id|original_timestamp|sent_at|received_at"
_WAREHOUSE: Final = """
    user_?id|id received_?at|sent_?at|original_timestamp
    anonymous_?id|channel|.*(library|locale|uuid_ts|loaded_at|page_url|ip|user_agent).*
"""
_SENT: Final = names("timestamp original_timestamp sent_at received_at")
_GROUP: Final = names("groups?_(company|account|organi[sz]ation|workspace)(_id)? groups?_?0 (company|account)_?id")
_COMPANY_ID: Final = "(company|account|org|organi[sz]ation|workspace|tenant)_?id"

EXPORTS: Final[tuple[Export, ...]] = (
    # --- Segment and RudderStack: messages as JSON Lines, then the tables of a warehouse
    Export(
        tool="Segment identify calls",
        has=names(_MESSAGE),
        kind=USER,
        rows=("type", "identify"),
        fields={"userId": names("user_?id")},
    ),
    Export(
        tool="Segment group calls",
        has=names(_MESSAGE + " group_?id"),
        kind=COMPANY,
        rows=("type", "group"),
        fields={"companyId": names("group_?id"), "userId": names("user_?id")},
    ),
    Export(
        tool="Segment track calls",
        has=names(_MESSAGE + " event"),
        kind=EVENT,
        rows=("type", "track"),
        fields={"userId": names("user_?id"), "event": names("event"), "timestamp": _SENT},
    ),
    Export(
        tool="Segment page calls",
        has=names(_MESSAGE),
        kind=EVENT,
        rows=("type", "page|screen"),
        fields={"userId": names("user_?id"), "timestamp": _SENT},
        constants={"event": "page viewed"},
    ),
    Export(
        tool="Segment tracks",
        has=names("event(_text)? user_?id" + _WAREHOUSE),
        kind=EVENT,
        fields={"userId": names("user_?id"), "event": names("event_text event"), "timestamp": _SENT},
    ),
    Export(
        tool="Segment pages",
        has=names("anonymous_?id user_?id" + _WAREHOUSE),
        label="page|screen",
        kind=EVENT,
        fields={"userId": names("user_?id"), "timestamp": _SENT},
        constants={"event": "page viewed"},
    ),
    Export(
        tool="Segment groups",
        has=names("group_?id" + _WAREHOUSE),
        label="group",
        lacks="event",
        kind=COMPANY,
        fields={"companyId": names("group_?id"), "userId": names("user_?id")},
    ),
    Export(
        tool="Segment identifies",
        has=names("user_?id anonymous_?id|message_?id" + _WAREHOUSE),
        lacks="event.*|url|path|group_?id",
        kind=USER,
        fields={"userId": names("user_?id")},
    ),
    # --- Amplitude, Mixpanel, PostHog, Google Analytics, Pendo
    Export(
        tool="Amplitude events",
        has=names("event_?type amplitude_?id|insert_?id|device_?id event_?time|client_event_time"),
        kind=EVENT,
        fields={
            "userId": names("user_?id"),
            "event": names("event_?type"),
            "timestamp": names("event_?time client_event_time server_received_time"),
        },
    ),
    Export(
        tool="Mixpanel or PostHog events",
        has=names("distinct_?id event(_?name)? time|timestamp|.*_at"),
        kind=EVENT,
        anonymous="$device:",
        fields={
            "userId": names("user_?id distinct_?id"),
            "event": names("event(_?name)?"),
            "timestamp": names("timestamp time created_?at sent_?at"),
            "companyId": _GROUP,
        },
    ),
    Export(
        tool="Mixpanel or PostHog profiles",
        has=names("distinct_?ids?"),
        lacks="event(_?name)?",
        kind=USER,
        anonymous="$device:",
        fields={"userId": names("user_?id distinct_?id")},
    ),
    Export(
        tool="Google Analytics events",
        has=names("user_pseudo_id event_name user_id"),
        kind=EVENT,
        fields={
            "userId": names("user_id"),
            "event": names("event_name"),
            "timestamp": names("event_timestamp event_date"),
            "companyId": _GROUP,
        },
    ),
    Export(
        tool="Pendo events",
        has=names(
            "visitor_?id (feature|page|track|event)_?(id|name|type)|num_events|num_minutes .*time.*|day|hour|date|.*_at"
        ),
        kind=EVENT,
        anonymous="_PENDO_T_",
        fields={
            "userId": names("visitor_?id"),
            "event": names("feature_?name event_?name track_type feature_?id page_?name page_?id event"),
            "companyId": names("account_?id"),
            "timestamp": names("browser_?time timestamp hour day date .*_at .*time"),
        },
    ),
    Export(
        tool="Pendo visitors",
        has=names("visitor_?id (first|last)_?visit.*|number_of.*|total_.*|account_?ids?"),
        lacks="event.*|feature.*|page.*|session.*|url|user_?id",
        kind=USER,
        anonymous="_PENDO_T_",
        fields={"userId": names("visitor_?id")},
    ),
    # --- HubSpot, Salesforce, Stripe, Chargebee, Recurly
    Export(
        tool="HubSpot contacts",
        has=names(
            """
            record_id(_.*)?|hs_object_id|contact_id|vid
            first_?name|last_?name|e_?mail|associated_company.*|contact_owner|record_id_contact
            """
        ),
        lacks="company_owner|deal_?name|company_domain_name|record_id_company",
        kind=USER,
        fields={"userId": (*APP_USER, *names("record_id(_contact)? record_id_.* contact_id hs_object_id vid"))},
    ),
    Export(
        tool="HubSpot companies",
        has=names("record_id(_.*)?|hs_object_id company_?name|company_owner|company_domain_name|name|domain"),
        lacks="deal_?name|record_id_contact",
        kind=COMPANY,
        fields={"companyId": (*APP_COMPANY, *names("record_id(_company)? record_id_.* hs_object_id"))},
    ),
    Export(
        tool="Salesforce contacts",
        has=names("(contact_)?id.*"),
        shapes={"(contact_)?id(_18)?": _SALESFORCE.format("003")},
        kind=USER,
        fields={"userId": (*APP_USER, *names("contact_id_18 contact_id id"))},
    ),
    Export(
        tool="Salesforce accounts",
        has=names("(account_)?id.*|case_safe_id"),
        shapes={"(account_)?id(_18)?|case_safe_id": _SALESFORCE.format("001")},
        lacks="contact_id|opportunity_(id|name)|case_number",
        kind=COMPANY,
        fields={"companyId": names("workspace_?id tenant_?id external_?id account_id_18 case_safe_id.* id account_id")},
    ),
    Export(
        tool="Stripe invoices, charges or payments",
        has=names("id"),
        shapes={"id": r"(in|ch|py|pi|txn|re|ii|price|prod|plan|po)_\w+"},
        kind=None,
    ),
    Export(
        tool="Stripe subscriptions",
        has=names("id customer(_id)?"),
        shapes={"id": r"sub_\w+"},
        kind=COMPANY,
        fields={"companyId": (*APP_COMPANY, *names("customer(_id)?"))},
    ),
    Export(
        tool="Stripe customers",
        has=names("id|customer_id user_?id"),
        shapes={"id|customer_id": r"cus_\w+"},
        lacks=_COMPANY_ID,
        kind=USER,
        fields={"userId": APP_USER},
    ),
    Export(
        tool="Stripe customers",
        has=names("id|customer_id"),
        shapes={"id|customer_id": r"cus_\w+"},
        lacks="amount_due|invoice.*|charge.*",
        kind=COMPANY,
        fields={"companyId": (*APP_COMPANY, *names("id customer_id"))},
    ),
    Export(
        tool="Chargebee or Recurly accounts",
        has=names(
            """
            account_code|customers?_id
            auto_collection|billing_.*|net_term_days|taxability|plan_?(id|code|unit.*)|mrr|subscription.*|account_state|bill_to
            """
        ),
        lacks="invoice.*|user_?id|event.*",
        kind=COMPANY,
        fields={"companyId": names("account_code customers?_id")},
    ),
    # --- Intercom, Zendesk, Auth0
    Export(
        tool="Intercom companies",
        has=names("company_?id monthly_spend|user_?count|session_?count|remote_created_at|last_request_at|people"),
        lacks="user_?id|e_?mail|external_?id|signed_up.*",
        kind=COMPANY,
        fields={"companyId": names("company_?id")},
    ),
    Export(
        tool="Intercom users",
        has=names(
            """
            external_?id|user_?id
            signed_?up.*|last_seen.*|session_?count|web_sessions|unsubscribed_from_emails|last_replied_at
            """
        ),
        lacks="event.*|score|rating",
        kind=USER,
        fields={"userId": names("external_?id user_?id")},
    ),
    Export(
        tool="Zendesk satisfaction ratings",
        has=names("score|rating|satisfaction.* ticket_?id|id requester.*|assignee.*|group_id"),
        shapes={
            r"(.*_)?(score|rating|satisfaction)(_.*)?": r"(?i)(good|bad|(not ?|un)?offered)([ _]?with[ _]?comment)?"
        },
        kind=FEEDBACK,
        fields={
            "userId": names("requester_external_id requester_?id submitter_?id"),
            "companyId": names("organi[sz]ation_?id requester_organi[sz]ation_?id"),
        },
    ),
    Export(
        tool="Zendesk tickets",
        has=names("requester(_?id)? subject|priority|status|assignee.* id|ticket_id"),
        kind=EVENT,
        fields={
            "userId": names("requester_external_id requester_?id submitter_?id requester"),
            "companyId": names("organi[sz]ation_?id requester_organi[sz]ation_?id"),
            "timestamp": names("created_?at requested.* created.*"),
        },
        constants={"event": "ticket created"},
    ),
    Export(
        tool="Zendesk users",
        has=names(
            """
            id role organi[sz]ation_?id|ticket_restriction|suspended|last_login_at|external_?id
            active|verified|suspended|locale.*|time_zone|shared|moderator|default_group_id
            """
        ),
        lacks="event.*",
        kind=USER,
        fields={"userId": names("external_?id id")},
    ),
    Export(
        tool="Zendesk organizations",
        has=names("id domain_names|shared_tickets|shared_comments|group_id"),
        label="org",
        kind=COMPANY,
        fields={"companyId": names("external_?id id")},
    ),
    Export(
        tool="Auth0 users",
        has=names("user_?id identities.*|logins?_?count|email_verified|last_login e_?mail.*"),
        lacks="event.*|score|rating",
        kind=USER,
        fields={"userId": names("user_?id")},
    ),
)


def recognised(sample: Sample, label: str) -> Sequence[Export]:
    """Return the export that a sample is of: of one whose rows are of several kinds a row for each; else none."""
    fitting = [export for export in EXPORTS if export.fits(sample, label)]
    if fitting and fitting[0].rows is not None:
        several = [export for export in fitting if export.rows is not None]
        return [export for export in several if "event" not in export.constants] or several  # pages only if alone
    return fitting[:1]
