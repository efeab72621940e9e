"""Photos of events and cases: their content once, and which was added to what."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, func

from citybrain.store.tables import Id, events, metadata

blobs = Table(
    "blobs",  # photos by their content: whoever sends one twice fills one row
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("thumbnail", LargeBinary, nullable=False),  # JPEG
)
attachments = Table(
    "attachments",  # which photo was added to what
    metadata,
    Column("id", Id, primary_key=True),
    # To either of these. A photo of a case that was merged away has both: where it came from, and with which of the
    # events it goes on, to another case and back.
    Column("event_id", Id),
    Column("case_id", Id),
    Column("kind", Text, nullable=False),  # before, after
    Column("sha256", Text, ForeignKey("blobs.sha256"), nullable=False),
    Column("original_sha256", Text, nullable=False),  # as it was sent
    Column("distance_m", Integer),  # from where it was taken to the reported place
    Column("actor", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)
# The case that it is seen with, where `events` is joined: its event's, else its own.
SEEN_WITH = func.coalesce(events.c.case_id, attachments.c.case_id)
Index("attachments_by_event", attachments.c.event_id)
Index("attachments_by_case", attachments.c.case_id)
