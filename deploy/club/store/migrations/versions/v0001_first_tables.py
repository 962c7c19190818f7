"""The club's first tables, in an order in which each refers only to earlier ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from deploy.club.store.base import Json, UtcTime

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    _login_codes()
    _members()
    _allowed_numbers()
    _blocks()
    _follows()
    _invitations()
    _member_interests()
    _notices()
    _pictures()
    _rooms()
    _sessions()
    _attendances()
    _moderation_entries()
    _reports()
    _room_interests()
    _room_seats()
    _talks()


def _login_codes() -> None:
    op.create_table(
        "login_codes",
        sa.Column("phone_hash", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", UtcTime(), nullable=False),
        sa.Column("sent_count", sa.Integer(), nullable=False),
        sa.Column("window_began_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("phone_hash", name=op.f("pk_login_codes")),
    )
    op.create_index(op.f("ix_login_codes_expires_at"), "login_codes", ["expires_at"])


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("phone_hash", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("bio", sa.String(length=1000), nullable=False),
        sa.Column("picture_id", sa.String(length=40), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column(
            "standing",
            sa.Enum(
                "waiting",
                "member",
                "removed",
                name="standing",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("is_host", sa.Boolean(), nullable=False),
        sa.Column("invited_by", sa.String(length=40), nullable=True),
        sa.Column("invitations_left", sa.Integer(), nullable=False),
        sa.Column("waiting_since", UtcTime(), nullable=True),
        sa.Column("admitted_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["invited_by"], ["members.id"], name=op.f("fk_members_invited_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint("phone_hash", name=op.f("uq_members_phone_hash")),
    )
    op.create_index(op.f("ix_members_invited_by"), "members", ["invited_by"])
    op.create_index("ix_members_standing_waiting_since", "members", ["standing", "waiting_since"])


def _allowed_numbers() -> None:
    op.create_table(
        "allowed_numbers",
        sa.Column("phone_hash", sa.String(length=64), nullable=False),
        sa.Column("added_by", sa.String(length=40), nullable=True),
        sa.Column("added_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["added_by"], ["members.id"], name=op.f("fk_allowed_numbers_added_by")
        ),
        sa.PrimaryKeyConstraint("phone_hash", name=op.f("pk_allowed_numbers")),
    )
    op.create_index(op.f("ix_allowed_numbers_added_at"), "allowed_numbers", ["added_at"])
    op.create_index(op.f("ix_allowed_numbers_added_by"), "allowed_numbers", ["added_by"])


def _blocks() -> None:
    op.create_table(
        "blocks",
        sa.Column("blocker_id", sa.String(length=40), nullable=False),
        sa.Column("blocked_id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["blocked_id"], ["members.id"], name=op.f("fk_blocks_blocked_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["blocker_id"], ["members.id"], name=op.f("fk_blocks_blocker_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("blocker_id", "blocked_id", name=op.f("pk_blocks")),
    )
    op.create_index(op.f("ix_blocks_blocked_id"), "blocks", ["blocked_id"])


def _follows() -> None:
    op.create_table(
        "follows",
        sa.Column("follower_id", sa.String(length=40), nullable=False),
        sa.Column("followed_id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["followed_id"], ["members.id"], name=op.f("fk_follows_followed_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["members.id"], name=op.f("fk_follows_follower_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("follower_id", "followed_id", name=op.f("pk_follows")),
    )
    op.create_index(op.f("ix_follows_followed_id"), "follows", ["followed_id"])


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("inviter_id", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("used_by", sa.String(length=40), nullable=True),
        sa.Column("used_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["inviter_id"], ["members.id"], name=op.f("fk_invitations_inviter_id")
        ),
        sa.ForeignKeyConstraint(["used_by"], ["members.id"], name=op.f("fk_invitations_used_by")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_inviter_id"), "invitations", ["inviter_id"])
    op.create_index(op.f("ix_invitations_used_by"), "invitations", ["used_by"])


def _member_interests() -> None:
    op.create_table(
        "member_interests",
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_member_interests_member_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("member_id", "slug", name=op.f("pk_member_interests")),
    )
    op.create_index(op.f("ix_member_interests_slug"), "member_interests", ["slug"])


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column(
            "payload",
            Json,
            nullable=False,
        ),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_notices_member_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_member_id_created_at", "notices", ["member_id", "created_at"])
    op.create_index("ix_notices_member_id_read_at", "notices", ["member_id", "read_at"])


def _pictures() -> None:
    op.create_table(
        "pictures",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column("jpeg", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_pictures_member_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
    )
    op.create_index(op.f("ix_pictures_member_id"), "pictures", ["member_id"])


def _rooms() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=120), nullable=False),
        sa.Column("about", sa.String(length=1000), nullable=False),
        sa.Column(
            "visibility",
            sa.Enum(
                "open",
                "followers",
                "invited",
                name="visibility",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "scheduled",
                "live",
                "ended",
                "cancelled",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("scheduled_at", UtcTime(), nullable=True),
        sa.Column("opened_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
        sa.Column("are_hands_open", sa.Boolean(), nullable=False),
        sa.Column("talk_counted_until", UtcTime(), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["members.id"], name=op.f("fk_rooms_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rooms")),
    )
    op.create_index(op.f("ix_rooms_created_by"), "rooms", ["created_by"])
    op.create_index("ix_rooms_state_opened_at", "rooms", ["state", "opened_at"])
    op.create_index("ix_rooms_state_scheduled_at", "rooms", ["state", "scheduled_at"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=True),
        sa.Column("phone_hash", sa.String(length=64), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_sessions_member_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_created_at"), "sessions", ["created_at"])
    op.create_index(op.f("ix_sessions_member_id"), "sessions", ["member_id"])
    op.create_index(op.f("ix_sessions_phone_hash"), "sessions", ["phone_hash"])
    op.create_index(op.f("ix_sessions_seen_at"), "sessions", ["seen_at"])


def _attendances() -> None:
    op.create_table(
        "attendances",
        sa.Column("room_id", sa.String(length=40), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("reminded_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_attendances_member_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_attendances_room_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("room_id", "member_id", name=op.f("pk_attendances")),
    )
    op.create_index(op.f("ix_attendances_member_id"), "attendances", ["member_id"])


def _moderation_entries() -> None:
    op.create_table(
        "moderation_entries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("actor_id", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=True),
        sa.Column("room_id", sa.String(length=40), nullable=True),
        sa.Column(
            "detail",
            Json,
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["members.id"], name=op.f("fk_moderation_entries_actor_id")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_moderation_entries_room_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["members.id"], name=op.f("fk_moderation_entries_subject_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderation_entries")),
    )
    op.create_index(op.f("ix_moderation_entries_actor_id"), "moderation_entries", ["actor_id"])
    op.create_index(op.f("ix_moderation_entries_at"), "moderation_entries", ["at"])
    op.create_index(op.f("ix_moderation_entries_room_id"), "moderation_entries", ["room_id"])
    op.create_index(op.f("ix_moderation_entries_subject_id"), "moderation_entries", ["subject_id"])


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reporter_id", sa.String(length=40), nullable=True),
        sa.Column("reported_id", sa.String(length=40), nullable=False),
        sa.Column("room_id", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("resolved_by", sa.String(length=40), nullable=True),
        sa.Column("resolved_at", UtcTime(), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["reported_id"], ["members.id"], name=op.f("fk_reports_reported_id")
        ),
        sa.ForeignKeyConstraint(
            ["reporter_id"], ["members.id"], name=op.f("fk_reports_reporter_id")
        ),
        sa.ForeignKeyConstraint(
            ["resolved_by"], ["members.id"], name=op.f("fk_reports_resolved_by")
        ),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_reports_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index(op.f("ix_reports_reported_id"), "reports", ["reported_id"])
    op.create_index(op.f("ix_reports_reporter_id"), "reports", ["reporter_id"])
    op.create_index("ix_reports_resolved_at_at", "reports", ["resolved_at", "at"])
    op.create_index(op.f("ix_reports_resolved_by"), "reports", ["resolved_by"])
    op.create_index(op.f("ix_reports_room_id"), "reports", ["room_id"])


def _room_interests() -> None:
    op.create_table(
        "room_interests",
        sa.Column("room_id", sa.String(length=40), nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_room_interests_room_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("room_id", "slug", name=op.f("pk_room_interests")),
    )
    op.create_index(op.f("ix_room_interests_slug"), "room_interests", ["slug"])


def _room_seats() -> None:
    op.create_table(
        "room_seats",
        sa.Column("room_id", sa.String(length=40), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column(
            "seat",
            sa.Enum(
                "host",
                "moderator",
                "speaker",
                "invited",
                "removed",
                name="seat",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_room_seats_member_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_room_seats_room_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("room_id", "member_id", name=op.f("pk_room_seats")),
    )
    op.create_index(op.f("ix_room_seats_member_id"), "room_seats", ["member_id"])


def _talks() -> None:
    op.create_table(
        "talks",
        sa.Column("room_id", sa.String(length=40), nullable=False),
        sa.Column("member_id", sa.String(length=40), nullable=False),
        sa.Column("spoken_ms", sa.BigInteger(), nullable=False),
        sa.Column("stints", sa.Integer(), nullable=False),
        sa.Column("joined_at", UtcTime(), nullable=False),
        sa.Column("left_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_talks_member_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.id"], name=op.f("fk_talks_room_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("room_id", "member_id", name=op.f("pk_talks")),
    )
    op.create_index(op.f("ix_talks_member_id"), "talks", ["member_id"])
