"""``RECOVERY.md``: how to restore without this product, for a tired human. A test follows its commands literally.

Each ``sh`` block runs in one and the same shell, top to bottom; the variables of the first block are all there is to fill in.
Rules that the commands keep: no pipe whose failure could be missed (sh has no pipefail: a truncated part would return 0 with
files missing), every name from ``SHA256SUMS`` instead of a wildcard (a wildcard misses what is absent), no server before every
segment is seen to be there, and a ``restore_command`` that says "end of WAL" only for what lies behind the last of them.
"""

from __future__ import annotations

from understudy.repository.snapshots.recovery_half import SNAPSHOTS_HALF
from understudy.vocabulary.sealing import Sealing

_DATABASES_HALF = """\
# How to get the databases in this repository back

Files and buckets: see the second half of this page.

You need: this repository (copied to a disk, or mounted), the **<<identity>>** from the recovery kit, and on a Linux machine
`sh`, `sha256sum`, `tar`, `zstd`, `<<program>>`, and PostgreSQL **of the same major version** as the database had.
You do not need Understudy. If you have it, use it: the recovery kit says how, and `understudy adopt` and `understudy recover` do
all that follows, or `understudy restore`.

Everything here is a plain file. The end of its name says how to open it: `.tar.zst.<<sealing>>` is undone by
`<<program>> -d`, then `zstd -d`, then `tar x`. Nothing in this repository is ever changed, and nothing below changes it.

If `understudy serve` may still run somewhere and write here, **end it first**, or work on a copy of this repository: by its rules
it removes old backups and WAL, and does not know that you are reading.

If a command below fails, **stop**. Nothing is lost by stopping: remove what it made, and start again or use another backup.
Become the operating-system user that will run PostgreSQL (not root) before you begin.

## 1. Say what you want

Look around first: `postgres/<resource>/<system-id>/backups/<label>/`. A label that ends in `F` is a full backup. One with `_…I`
behind it is incremental, and stands on the full one that its name begins with (its direct parent is named in its
`backup.json`, as `parent`). A folder without `backup.json` is not a backup: leave it.
The newest label is the newest backup. Fill these in:

```sh
REPOSITORY=/mnt/repository
IDENTITY=/root/identity.txt
RESOURCE=orders
SYSTEM=7400000000000000001
# One label; or a chain, separated by blanks: the full backup first, then each incremental one, the wanted one last.
LABELS="20261123-030000F"
# The timeline to follow, eight hexadecimal digits: the newest folder in wal/, unless you know better.
TIMELINE=00000001
# Empty: to the newest segment that is there. Otherwise the name of the last one to replay (24 digits): only where step 6 finds
# that one is missing, and you give up all that was written after the one before it. Behind an old backup WAL is missing
# by intent: its own segments are kept, so it can be brought to its own end and no further.
LAST_SEGMENT=
# Empty directories on a disk with room: for the database, and for what is only needed meanwhile (at most 80 characters).
TARGET=/var/lib/postgresql/recovered
WORK=/var/lib/postgresql/recovery-work
# Where PostgreSQL's programs are.
PROGRAMS=/usr/lib/postgresql/18/bin
# 16 MB unless the database was made with another size (segment_bytes in backup.json).
SEGMENT_BYTES=16777216
# The database's first superuser.
SUPERUSER=postgres
CLUSTER="$REPOSITORY/postgres/$RESOURCE/$SYSTEM"
mkdir -p -m 700 "$WORK" || exit 1
<<prepare>>```

## 2. Check that every part is there and unchanged

`SHA256SUMS` names every part, so that an absent one is noticed, too.

```sh
for LABEL in $LABELS; do
  test -s "$CLUSTER/backups/$LABEL/backup.json" || { echo "$LABEL is no complete backup"; exit 1; }
  ( cd "$CLUSTER/backups/$LABEL" && sha256sum --check --strict SHA256SUMS ) || exit 1
done
```

## 3. Unpack

Parts that begin with `base` belong into the data directory; one that begins with a number belongs to the tablespace with that
number (oid): `backup.json` says where it lay. They are unpacked beside the data directory, under `<directory>.<oid>`; move them
where you want them and correct the links in `pg_tblspc`.

```sh
for LABEL in $LABELS; do
  DIRECTORY="$WORK/$LABEL"
  mkdir "$DIRECTORY" || exit 1
  chmod 700 "$DIRECTORY" || exit 1
  while read -r SUM PART; do
    <<open>> "$WORK/part.zst" "$CLUSTER/backups/$LABEL/$PART" || exit 1
    zstd -q -d -f "$WORK/part.zst" -o "$WORK/part" || exit 1
    case "$PART" in
      backup_manifest*) cp "$WORK/part" "$DIRECTORY/backup_manifest" || exit 1 ;;
      base-*) tar -x -f "$WORK/part" -C "$DIRECTORY" || exit 1 ;;
      *)
        mkdir -p -m 700 "$DIRECTORY.${PART%%-*}" || exit 1
        tar -x -f "$WORK/part" -C "$DIRECTORY.${PART%%-*}" || exit 1 ;;
    esac
    rm "$WORK/part.zst" "$WORK/part" || exit 1
  done < "$CLUSTER/backups/$LABEL/SHA256SUMS"
  for SPACE in "$DIRECTORY".*; do
    test -d "$SPACE" || continue
    mkdir -p "$DIRECTORY/pg_tblspc" || exit 1
    ln -s "$SPACE" "$DIRECTORY/pg_tblspc/${SPACE##*.}" || exit 1
  done
  # This file would make PostgreSQL put the tablespaces where they lay on the old machine. The links above replace it.
  rm -f "$DIRECTORY/tablespace_map" || exit 1
done
```

## 4. Bring the chain together

One full backup is simply moved. A chain goes through `pg_combinebackup` (PostgreSQL 17 and newer).
Never remove `backup_label`: the database would start and be silently corrupt.

```sh
LAST=
COUNT=0
DIRECTORIES=
MAPPING=
for LABEL in $LABELS; do
  LAST="$WORK/$LABEL"
  COUNT=$((COUNT + 1))
  DIRECTORIES="$DIRECTORIES $WORK/$LABEL"
done
test ! -e "$TARGET" || rmdir "$TARGET" || { echo "$TARGET is not empty"; exit 1; }
if test "$COUNT" -eq 1; then
  mv "$LAST" "$TARGET" || exit 1
else
  for SPACE in "$LAST".*; do
    test -d "$SPACE" || continue
    MAPPING="$MAPPING --tablespace-mapping=$SPACE=$TARGET.${SPACE##*.}"
  done
  "$PROGRAMS/pg_combinebackup" $MAPPING --output="$TARGET" $DIRECTORIES || exit 1
fi
```

## 5. Decode the write-ahead log

All of it first, into a directory; then PostgreSQL reads it from there. A segment counts only with its `.json` beside it, which
names the data (usually the same name with `.zst.<<sealing>>`) and its SHA-256. Of a segment that is not there complete,
pieces in its folder `.tail` are put one behind the other and padded with zeros: always the one that reaches furthest of those
that join.

```sh
mkdir "$WORK/wal" || exit 1
value_of() { sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p" "$2"; }
decode() {
  DATA=$(value_of data "$1.json")
  SUM=$(value_of sealed_sha256 "$1.json")
  test -n "$DATA" && test -n "$SUM" || { echo "$1.json cannot be read"; return 1; }
  echo "$SUM  $(dirname "$1")/$DATA" | sha256sum --check --strict --status || { echo "$1 is damaged"; return 1; }
  <<open>> "$WORK/piece.zst" "$(dirname "$1")/$DATA" || return 1
  zstd -q -d -f "$WORK/piece.zst" -o "$2" || return 1
  rm "$WORK/piece.zst"
}
for SIDECAR in "$CLUSTER"/wal/*.history.json; do
  test -e "$SIDECAR" || continue
  NAME=$(basename "$SIDECAR" .json)
  decode "$CLUSTER/wal/$NAME" "$WORK/wal/$NAME" || exit 1
done
for SIDECAR in "$CLUSTER"/wal/*/*.json; do
  test -e "$SIDECAR" || continue
  STEM=${SIDECAR%.json}
  decode "$STEM" "$WORK/wal/$(basename "$STEM")" || exit 1
done
for TAIL in "$CLUSTER"/wal/*/*.tail; do
  test -d "$TAIL" || continue
  NAME=$(basename "$TAIL" .tail)
  test ! -e "$WORK/wal/$NAME" || continue
  : > "$WORK/assembled" || exit 1
  HAVE=0
  while :; do
    BEST=$HAVE
    for SIDECAR in "$TAIL"/[0-9]?????????-[0-9]?????????.json; do
      test -e "$SIDECAR" || break
      SPAN=${SIDECAR##*/}
      SPAN=${SPAN%.json}
      FROM=$((1${SPAN%-*} - 10000000000))
      UPTO=$((1${SPAN#*-} - 10000000000))
      test "$FROM" -le "$HAVE" || break
      test "$UPTO" -gt "$BEST" || continue
      BEST=$UPTO
      BEGIN=$FROM
      PIECE=${SIDECAR%.json}
    done
    test "$BEST" -gt "$HAVE" || break
    decode "$PIECE" "$WORK/piece" || exit 1
    tail -c +$((HAVE - BEGIN + 1)) "$WORK/piece" >> "$WORK/assembled" || exit 1
    HAVE=$BEST
  done
  truncate -s "$SEGMENT_BYTES" "$WORK/assembled" || exit 1
  mv "$WORK/assembled" "$WORK/wal/$NAME" || exit 1
done
<<finish>>```

## 6. See that nothing is missing in the middle

PostgreSQL takes a segment that is not there for the end of the log, and opens the database with everything behind it lost. So
every segment from the one that the backup begins in up to the last one must be there, on the timeline that holds at its place;
all but the last one complete.

```sh
number_of() { echo $((0x$(echo "$1" | cut -c9-16) * (4294967296 / SEGMENT_BYTES) + 0x$(echo "$1" | cut -c17-24))); }
FIRST=$(sed -n 's/^START WAL LOCATION: .*(file \\([0-9A-F]*\\))$/\\1/p' "$TARGET/backup_label")
test -n "$FIRST" || { echo "$TARGET/backup_label cannot be read"; exit 1; }
if test -z "$LAST_SEGMENT"; then
  for SEGMENT in "$WORK/wal/$TIMELINE"????????????????; do
    test -e "$SEGMENT" || { echo "there is no segment of timeline $TIMELINE"; exit 1; }
    LAST_SEGMENT=$(basename "$SEGMENT")
  done
fi
LAST_NUMBER=$(number_of "$LAST_SEGMENT") || exit 1
# A line for each timeline on the way: its number, and the number of the first segment that is no longer taken from it.
: > "$WORK/timelines" || exit 1
if test "$TIMELINE" != 00000001; then
  test -s "$WORK/wal/$TIMELINE.history" || { echo "$TIMELINE.history is missing"; exit 1; }
  while read -r PARENT FORK REASON || test -n "$PARENT"; do
    case "$PARENT" in '' | '#'*) continue ;; esac
    echo "$PARENT $((((0x${FORK%/*} << 32) + 0x${FORK#*/}) / SEGMENT_BYTES))" >> "$WORK/timelines" || exit 1
  done < "$WORK/wal/$TIMELINE.history"
fi
echo "$((0x$TIMELINE)) $((LAST_NUMBER + 1))" >> "$WORK/timelines" || exit 1
NUMBER=$(number_of "$FIRST") || exit 1
test "$NUMBER" -le "$LAST_NUMBER" || { echo "the log ends in $LAST_SEGMENT, and the backup begins in $FIRST"; exit 1; }
: > "$WORK/expected" || exit 1
while read -r LINE BEHIND; do
  while test "$NUMBER" -lt "$BEHIND" && test "$NUMBER" -le "$LAST_NUMBER"; do
    PER_LOG=$((4294967296 / SEGMENT_BYTES))
    NAME=$(printf '%08X%08X%08X' "$LINE" $((NUMBER / PER_LOG)) $((NUMBER % PER_LOG)))
    test -e "$WORK/wal/$NAME" || { echo "segment $NAME is missing"; exit 1; }
    test "$NUMBER" -eq "$LAST_NUMBER" || test -e "$CLUSTER/wal/$(echo "$NAME" | cut -c1-8)/$NAME.json" ||
      { echo "segment $NAME is not complete, and others follow it"; exit 1; }
    echo "$NAME" >> "$WORK/expected" || exit 1
    NUMBER=$((NUMBER + 1))
  done
done < "$WORK/timelines"
test "$NUMBER" -eq $((LAST_NUMBER + 1)) || { echo "the list of segments ends before $LAST_SEGMENT"; exit 1; }
```

## 7. Let PostgreSQL replay it

The `restore_command` says "not there" only for a segment behind the last one, and for the history of a timeline that nobody
began; every other fault stops the server, instead of being taken for the end of the log. To stop at a moment instead of at the
latest commit, add a line such as `recovery_target_time = '2026-11-23 14:59:00+00'` (with the offset!) and
`recovery_target_action = 'promote'` to `postgresql.auto.conf` in `$TARGET` before you start. Nobody can get in yet: the server
listens on no network, only on a socket in `$WORK`. The settings that a recovery may not lower are taken from what the old server
had; no other configuration is needed (Debian keeps it outside the data directory).

```sh
echo "$LAST_NUMBER $SEGMENT_BYTES" > "$WORK/last" || exit 1
cat > "$WORK/fetch-wal" << 'END' || exit 1
WORK=${0%/*}
grep -qxF "$1" "$WORK/expected"
case $? in
  0) cp "$WORK/wal/$1" "$2" || exit 255; exit 0 ;;
  1) ;;
  *) exit 255 ;;
esac
case "$1" in *.history)
  test -e "$WORK/wal/$1" || exit 1
  cp "$WORK/wal/$1" "$2" || exit 255
  exit 0 ;;
esac
read -r LAST_NUMBER SEGMENT_BYTES < "$WORK/last" || exit 255
NUMBER=$((0x$(echo "$1" | cut -c9-16) * (4294967296 / SEGMENT_BYTES) + 0x$(echo "$1" | cut -c17-24))) || exit 255
test "$NUMBER" -gt "$LAST_NUMBER" && exit 1
exit 255
END
mkdir -p "$TARGET/pg_wal" || exit 1
echo "local all all trust" > "$WORK/hba.conf" || exit 1
test -e "$TARGET/postgresql.conf" || : > "$TARGET/postgresql.conf" || exit 1
LC_ALL=C "$PROGRAMS/pg_controldata" "$TARGET" > "$WORK/controldata" || exit 1
{
  echo "# begin of recovery by hand"
  echo "restore_command = '/bin/sh \\"$WORK/fetch-wal\\" %f \\"%p\\"; case \\$? in 0) exit 0;; 1) exit 1;; *) exit 255;; esac'"
  echo "recovery_target_timeline = '$((0x$TIMELINE))'"
  echo "archive_mode = off"
  echo "listen_addresses = ''"
  echo "port = 5432"
  echo "unix_socket_directories = '$WORK'"
  echo "hba_file = '$WORK/hba.conf'"
  sed -e '/^max_[a-z_]* setting: /!d' -e 's/ setting: */ = /' -e 's/^max_prepared_xacts/max_prepared_transactions/' \\
    -e 's/^max_locks_per_xact/max_locks_per_transaction/' "$WORK/controldata" || exit 1
  echo "# end of recovery by hand"
} >> "$TARGET/postgresql.auto.conf" || exit 1
touch "$TARGET/recovery.signal" || exit 1
"$PROGRAMS/pg_ctl" -D "$TARGET" -l "$WORK/server.log" -w -t 86400 start || { cat "$WORK/server.log"; exit 1; }
```

It is done when this prints `f`; while it prints `t` the log is still being replayed: ask again.

```sh
"$PROGRAMS/psql" -X -A -t -h "$WORK" -p 5432 -U "$SUPERUSER" -d postgres -c 'select pg_is_in_recovery()' || exit 1
```

Then `redo done at` in `$WORK/server.log` says where the last record begins. Unless you set a moment, that is in the last segment
that `$WORK/expected` names, or shortly before it where the loss cut off a long record. If it is far before, a record there is
damaged: stop, and restore from another copy of the repository.

Look at the data in the same way. Unlogged tables are empty, and replication slots are gone: that is how PostgreSQL does it.

## 8. Let the applications in

Stop the server (`pg_ctl -D "$TARGET" stop`), take the lines between `begin of recovery by hand` and `end of recovery by hand`
out of `postgresql.auto.conf`, give it the configuration of the old machine (`postgresql.conf`, `pg_hba.conf`), and start it.
Take a new backup at once: the database is on a new timeline. When all is well, `$WORK` can be removed; without a chain,
tablespaces may still lie in it: look into `$TARGET/pg_tblspc` first.
"""

_BY_SEALING = {
    Sealing.AGE: {
        "identity": "age identity",
        "program": "age",
        "open": 'age -d -i "$IDENTITY" -o',
        "prepare": "",
        "finish": "",
    },
    Sealing.GPG: {
        "identity": "OpenPGP secret key",
        "program": "gpg",
        "open": "gpg --batch --quiet --yes --decrypt -o",
        # A keyring of its own: nothing depends on what lies in somebody's home. The agent's sockets need a short name.
        "prepare": "# For the secret key, until all is opened; if a command fails before, remove that directory yourself.\n"
        "GNUPGHOME=$(mktemp -d /tmp/recovery-XXXXXX) && export GNUPGHOME || exit 1\n"
        'gpg --batch --quiet --import "$IDENTITY" || exit 1\n',
        "finish": 'gpgconf --kill gpg-agent\nrm -rf "$GNUPGHOME"\n',
    },
}


def recovery_page(sealing: Sealing) -> str:
    """Of a repository that is sealed so."""
    page = f"{_DATABASES_HALF}\n\n{SNAPSHOTS_HALF}"
    for name, text in {"sealing": sealing.value, **_BY_SEALING[sealing]}.items():
        page = page.replace(f"<<{name}>>", text)
    return page
