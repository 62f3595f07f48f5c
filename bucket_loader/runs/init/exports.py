"""Exports of known tools: how each is recognised, what its rows are, and where its ids, names and times stand.

One row a table or file that a tool writes. A pattern matches the whole of a column's words (`names.py`): lower case,
`_` for blanks, without `properties.` and the like before it. What a row does not say is guessed as for any table.
"""

from typing import Final

from bucket_loader.model import COMPANY, EVENT, FEEDBACK, USER
from bucket_loader.runs.init.export import Export
from bucket_loader.runs.init.roles import APP_COMPANY, APP_USER, names

_SALESFORCE: Final = r"{}[A-Za-z0-9]{{12}}(?:[A-Za-z0-9]{{3}})?"
_MESSAGE: Final = "type user_?id anonymous_?id|message_?id|original_timestamp|sent_at|received_at"
_WAREHOUSE: Final = """
    user_?id|id received_?at|sent_?at|original_timestamp
    anonymous_?id|channel|.*(library|locale|uuid_ts|loaded_at|page_url|ip|user_agent).*
"""
_SENT: Final = names("timestamp original_timestamp sent_at received_at")
_GROUP: Final = names("groups?_(company|account|organi[sz]ation|workspace)(_id)? groups?_?0 (company|account)_?id")
_COMPANY_ID: Final = "(company|account|org|organi[sz]ation|workspace|tenant)_?id"

_EXTERNAL: Final = names("external_?id _?id|uuid")
_OF_SUCCESS: Final = "nps_last_.*|last_(inbound|outbound)_.*|last_seen_timestamp|accounts|source_?id"
_OF_SUCCESS_OF_COMPANIES: Final = (
    "health_?score|churn_?score|customer_from|phase|csm.*|account_owner_?id|lifecycle_stage"
)

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
        tool="Salesforce records that are neither accounts nor people",
        has=names("id account_id|owner_id|created_by_id|is_deleted|stage_name"),
        shapes={"id": r"(?!001|003|00Q)[0a][0-9A-Za-z]{14}(?:[A-Z0-5]{3})?"},
        kind=None,
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
    # --- Heap, FullStory, and tools of customer success: the application's id stands beside their own
    Export(
        tool="Heap events",
        has=names("identity user_?id event_?(id|table_name) time"),
        kind=EVENT,
        fields={
            "userId": names("identity"),
            "event": names("event_table_name event_?name"),
            "timestamp": names("time"),
        },
    ),
    Export(
        tool="Heap users",
        has=names("identity user_?id join_?date|last_modified|initial_.*"),
        lacks="event.*|session_id",
        kind=USER,
        fields={"userId": names("identity")},
    ),
    Export(
        tool="FullStory events",
        has=names("user_app_key event_type event_start"),
        kind=EVENT,
        fields={
            "userId": names("user_app_key"),
            "event": names("event_custom_name event_type"),
            "timestamp": names("event_start"),
        },
    ),
    Export(
        tool="Vitally or Planhat users",
        has=(*_EXTERNAL, "first_?name|last_?name|name|e_?mail", _OF_SUCCESS + "|position|company_external_?id"),
        lacks=_OF_SUCCESS_OF_COMPANIES,
        kind=USER,
        fields={"userId": names("external_?id guid")},
    ),
    Export(
        tool="Vitally or Planhat companies",
        has=(*_EXTERNAL, _OF_SUCCESS_OF_COMPANIES),
        lacks="e_?mail|first_?name|last_?name",
        kind=COMPANY,
        fields={"companyId": names("external_?id")},
    ),
    Export(
        tool="Gainsight companies",
        has=names("gsid name (sfdc|salesforce)_account_id|(account_)?external_?id"),
        lacks="company_(id|gsid)|e_?mail",
        kind=COMPANY,
        fields={"companyId": names("(account_)?external_?id (sfdc|salesforce)_account_id")},
    ),
    Export(
        tool="UserVoice users",
        has=names("id guid e_?mail|name"),
        label="uservoice",
        kind=USER,
        fields={"userId": names("guid external_?id")},
    ),
    Export(
        tool="Canny posts",
        has=names("author_?(id|e_?mail|name) title details votes?|score|status"),
        kind=FEEDBACK,
        fields={"userId": names("author_(user_?id|external_?id|id)"), "comment": names("details")},
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
