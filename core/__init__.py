"""The API for plugins: what is re-exported here is public, everything else in `core` is private."""

from core.accounts import (
    ANONYMOUS_TENANT,
    Identity,
    create_account,
    find_account,
    issue_key,
    list_keys,
)
from core.answers import Outcome, once
from core.blobs import BlobGone, open_blobs
from core.blueprints import (
    Blueprint,
    PlainErrorSchema,
    idempotency_key,
    render_plain_error,
    request_body,
    request_json,
)
from core.clock import isoformat, now, start_of_month, start_of_next_month, to_datetime
from core.compiled import Code, Doubtful, NotCompilable, compile_check, validate_items
from core.database import (
    Model,
    after_commit,
    db,
    fetch_all,
    insert_rows,
    release_connection,
    row_lock,
    transaction,
)
from core.errors import (
    AppError,
    BadRequest,
    ConfigurationError,
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    Invalid,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SessionErased,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from core.evidence import Evidence, record_compact, record_evidence
from core.fields import Choice, StrictBoolean, StrictDict, StrictInteger, StrictNumber, StrictString
from core.health import Check
from core.hookspecs import hookimpl, hookspec
from core.identity import caller, check_session_binding, demand, require
from core.jobs import Job, enqueue
from core.limits import limit_by_address
from core.openapi import (
    IDEMPOTENCY_PARAMETER,
    KEY_SECURITY,
    OPTIONAL_KEY_SECURITY,
    SESSION_PARAMETER,
    TOKEN_SECURITY,
)
from core.reasons import reasons
from core.responses import json_response, raw_json_response
from core.runtime import VERSION, current, setting
from core.sessions import (
    MAX_SESSION_ID_LENGTH,
    Session,
    check_session_id,
    erase_session,
    find_session,
    get_session,
    lock_session,
    touch_session,
)
from core.settings import Setting, flag, words
from core.timeline import TimelineEntry
from core.times import UNIX_TIME_BOUNDS, Timestamp, UnixTime, unix_unit
from core.web import request_id
from core.wire import JSON_TYPES, BodyLimits

__all__ = [
    "ANONYMOUS_TENANT",
    "IDEMPOTENCY_PARAMETER",
    "JSON_TYPES",
    "KEY_SECURITY",
    "MAX_SESSION_ID_LENGTH",
    "OPTIONAL_KEY_SECURITY",
    "SESSION_PARAMETER",
    "TOKEN_SECURITY",
    "UNIX_TIME_BOUNDS",
    "VERSION",
    "AppError",
    "BadRequest",
    "BlobGone",
    "Blueprint",
    "BodyLimits",
    "Check",
    "Choice",
    "Code",
    "ConfigurationError",
    "Conflict",
    "Doubtful",
    "Evidence",
    "Forbidden",
    "IdempotencyMismatch",
    "Identity",
    "Invalid",
    "Job",
    "MalformedBody",
    "MethodNotAllowed",
    "Model",
    "NotCompilable",
    "NotFound",
    "Outcome",
    "PayloadTooLarge",
    "PlainErrorSchema",
    "RateLimited",
    "Session",
    "SessionErased",
    "Setting",
    "StrictBoolean",
    "StrictDict",
    "StrictInteger",
    "StrictNumber",
    "StrictString",
    "TimelineEntry",
    "Timestamp",
    "Unauthorized",
    "Unavailable",
    "UnixTime",
    "UnsupportedMediaType",
    "after_commit",
    "caller",
    "check_session_binding",
    "check_session_id",
    "compile_check",
    "create_account",
    "current",
    "db",
    "demand",
    "enqueue",
    "erase_session",
    "fetch_all",
    "find_account",
    "find_session",
    "flag",
    "get_session",
    "hookimpl",
    "hookspec",
    "idempotency_key",
    "insert_rows",
    "isoformat",
    "issue_key",
    "json_response",
    "limit_by_address",
    "list_keys",
    "lock_session",
    "now",
    "once",
    "open_blobs",
    "raw_json_response",
    "reasons",
    "record_compact",
    "record_evidence",
    "release_connection",
    "render_plain_error",
    "request_body",
    "request_id",
    "request_json",
    "require",
    "row_lock",
    "setting",
    "start_of_month",
    "start_of_next_month",
    "to_datetime",
    "touch_session",
    "transaction",
    "unix_unit",
    "validate_items",
    "words",
]
