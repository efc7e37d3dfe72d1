"""Which columns hold texts of or about persons, and what becomes of them when a person is erased.

Each column of the schema that can hold a text stands in one of these lists, and a test fails for one that
does not. Who adds a column says here what it is: `WIPED` and a step of `models.queries.wiping`, or why it
may stay.
"""

# Wiped or taken away by `wiping.STEPS` and the purge of inbound events.
WIPED: dict[str, str] = {
    "audit_entry": "reason request",
    "command": "body",
    "commerce_user": "username email full_name roles given_roles",
    "dispute": "evidence",
    "entitlement": "failure_detail",
    "idempotency_record": "caller key fingerprint response_sealed",
    "inbound_event": "payload",
    "operator_task": "what note",
    "order_event": "detail",
    "orders": "billing_address return_url taxation",
    "outbound_event": "data",
    "payee_correction": "reason",
    "payment": "failure_message",
    "reconciliation_difference": "detail resolution",
    "refresh_token": "token_hash",
    "refund": "reason failure_reason",
    "resolution": "reason",
    "store_credit_grant": "reason",
    "tax_report": "failure",
    "webhook_attempt": "request_body response_headers response_body error",
    "webhook_delivery": "last_error last_response",
}

KEPT_BY_LAW: dict[str, dict[str, str]] = {
    "tax law wants invoices, receipts and credit notes kept as they were issued": {
        "document": "body number sha256",
    },
}

HOLDS_NOBODY: dict[str, dict[str, str]] = {
    "ids, keys and hashes of ours, the processor's and the LMS's: by them the books and access stay right": {
        "audit_entry": "actor_id objects request_id",
        "balance_match": "transaction_id",
        "balance_transaction": "id source intent_id refund_id",
        "commerce_user": "lms_user_id",
        "completion": "lms_event_id lms_user_id",
        "completion_revocation": "lms_event_id lms_user_id",
        "dispute": "provider_id suspended_lines",
        "inbound_event": "event_id outcome",
        "journal_entry": "event_key content_hash",
        "operator_task": "task_key",
        "order_event": "event_key",
        "orders": "number",
        "outbound_event": "event_key stream request_id",
        "outbound_stream": "stream",
        "payment": "intent_id charge_id",
        "payout_settlement": "payout_id",
        "person_merge": "lms_event_id into_lms_user_id",
        "posting": "sub",
        "balance_snapshot": "sub",
        "rate_limit": "key",  # a user's id or a digest; an address of the network for minutes
        "reconciliation_difference": "subject transaction_id",
        "reconciliation_run": "workflow_id report",
        "refund": "provider_refund_id",
        "resolution": "decided_by decision_key",
        "seal_block": "previous_hash block_hash",
        "sealed_entry": "header_hash postings_hash",
        "tax_report": "provider_id lines",
    },
    "names of states, kinds, currencies and places from a list": {
        "account_change": "changed",
        "audit_entry": "actor_kind action code",
        "balance_match": "part",
        "balance_snapshot": "account currency",
        "balance_transaction": "reporting_category currency source_currency standing",
        "cart": "currency",
        "command": "kind",
        "dispute": "currency reason status state wish",
        "document": "entity country kind",
        "document_counter": "entity country kind",
        "entitlement": "status failure_code failed_action waits_for",
        "inbound_event": "source type",
        "inbox_cursor": "source",
        "journal_entry": "entity kind",
        "operator_task": "kind",
        "order_event": "kind",
        "orders": "currency payment_state fulfilment_state dispute_state locale channel",
        "outbound_event": "type",
        "payee_correction": "kind currency",
        "payee_volume": "currency",
        "payment": "status currency failure_code",
        "payout_settlement": "currency",
        "period_change": "entity status",
        "person_erasure": "source",
        "posting": "account currency",
        "promotion_use": "state",
        "reconciliation_difference": "kind currency state",
        "reconciliation_run": "state",
        "refund": "kind currency status wish",
        "resolution": "cause state choice",
        "run_change": "kind",
        "store_credit_grant": "currency",
        "webhook_attempt": "outcome",
        "webhook_delivery": "status",
    },
    "sentences of ours that name orders by their numbers": {
        "person_erasure": "waits_for",
        "person_merge": "waits_for",
    },
    "what is sold to everybody, and under which rules and codes": {
        "cart": "promo_codes",
        "catalog_item": (
            "slug type title description lms_course_id run_of tax_code tax_behavior recognition presentation "
            "payees"
        ),
        "completion": "lms_course_id",
        "completion_revocation": "lms_course_id",
        "entitlement": "lms_course_id",
        "item_price": "currency",
        "order_line": "title lms_course_id taxes presentation recognition release split ledger",
        "orders": "promo_codes",
        "promotion": "code kind currency item_ids funding",
        "resolution": "lms_course_id",
        "split_rule": "channel payee currency rule release",
        "tax_rate": "country state jurisdiction tax_code source",
    },
    "payees by the references of the payout system, which owns them": {
        "affiliate": "code payee_ref",
        "payee_correction": "payee_ref to_payee_ref",
        "payee_volume": "payee_ref",
        "payout_settlement": "payee_ref",
    },
    "what operators say of the platform itself, of a run to all its buyers, of a month of the books": {
        "lms_maintenance": "reason",
        "period_change": "reason",
        "run_change": "reason",
    },
    "machines, and receivers of events": {
        "alembic_version": "version_num",
        "api_key": "name hint key_hash scopes",
        "webhook_attempt": "url request_headers",
        "webhook_endpoint": "url description event_types secret_sealed disabled_by disabled_reason",
    },
}
