"""The half of ``RECOVERY.md`` that is for what is no database. A test follows its commands literally.

The rules are those of the other half (``repository.recovery_page``): no pipe whose failure could be missed, every name from
``SHA256SUMS``, and nothing is written before all of it was seen to be whole. The loop over the listing is Python, which nearly
every Linux has, because a shell cannot read names that hold anything.
"""

from __future__ import annotations

SNAPSHOTS_HEADING = "# How to get files, buckets and dumps back"

SNAPSHOTS_HALF = (
    SNAPSHOTS_HEADING
    + """

You need: this repository (copied to a disk, or mounted), the **<<identity>>** from the recovery kit, and on a Linux machine
`sh`, `sha256sum`, `tar`, `zstd`, `<<program>>` and `python3` (3.6 or newer; no packages). Here, too, a command that fails means:
**stop**, and nothing is lost by it.

Each block goes into one and the same shell, from top to bottom. Run it as root where owners are to come back.

## 1. Say what you want

Look around first: `<kind>/<name>/snapshots/<label>/`, where the kind is `files`, `bucket`, `command`, `redis` or
`postgres-dump`. Each is the whole directory or bucket, or what the program wrote, as it was at that time (UTC). A folder without
`snapshot.json` is no snapshot: leave it. Fill these in:

```sh
REPOSITORY=/mnt/repository
IDENTITY=/root/identity.txt
KIND=files
RESOURCE=documents
SNAPSHOT=20261123-030000S
# Directories that are not there yet, on a disk with room: for what comes back, and for what is only needed meanwhile.
TARGET=/srv/recovered
WORK=/srv/recovery-work
FOLDER="$REPOSITORY/$KIND/$RESOURCE/snapshots/$SNAPSHOT"
mkdir -m 700 "$TARGET" "$WORK" || exit 1
<<prepare>>```

## 2. Check that every part is there and unchanged

```sh
test -s "$FOLDER/snapshot.json" || { echo "$SNAPSHOT is no complete snapshot"; exit 1; }
( cd "$FOLDER" && sha256sum --check --strict SHA256SUMS ) || exit 1
```

## 3. Open the listing

It is the first that `SHA256SUMS` names: a line for each entry, with its name, its kind, its attributes, and for a content the
part, and the member of the part's archive, that hold it.

```sh
read -r SUM LISTING < "$FOLDER/SHA256SUMS" || exit 1
<<open>> "$WORK/listing.zst" "$FOLDER/$LISTING" || exit 1
zstd -q -d "$WORK/listing.zst" -o "$WORK/listing" || exit 1
cat > "$WORK/place.py" << 'END' || exit 1
import base64, hashlib, json, os, shutil, sys

step, kind, target, work = sys.argv[1:5]
listing = os.path.join(work, "listing")


def entries():
    with open(listing, encoding="ascii") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, json.loads(line)


def place(number, entry):
    if kind == "bucket":
        return os.path.join(target, "%08d" % number)
    if entry["key"] == ".":
        return target
    if any(each in ("", ".", "..") for each in entry["key"].split("/")):
        sys.exit("a name that leads out of the directory: %r" % entry["key"])
    return os.path.join(target, entry["key"])


def directory_of(path):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    return path


def split():
    # A file for each part, with what is wanted of it, and one for the parts.
    os.mkdir(os.path.join(work, "wanted"))
    names = set()
    for number, entry in entries():
        if "part" in entry:
            if "/" in entry["part"]:
                sys.exit("no name of a part: %r" % entry["part"])
            names.add(entry["part"])
            with open(os.path.join(work, "wanted", entry["part"]), "a", encoding="ascii") as wanted:
                wanted.write(json.dumps([number, entry]) + "\\n")
        elif entry["kind"] == "file":
            open(directory_of(place(number, entry)), "xb").close()
        elif entry["kind"] == "directory" and entry["key"] != ".":
            os.makedirs(place(number, entry), mode=0o700, exist_ok=True)
    with open(os.path.join(work, "parts"), "w", encoding="ascii") as parts:
        parts.writelines(name + "\\n" for name in sorted(names))


def contents(part):
    with open(os.path.join(work, "wanted", part), encoding="ascii") as wanted:
        for line in wanted:
            number, entry = json.loads(line)
            path = directory_of(place(number, entry))
            shutil.copyfile(os.path.join(work, "members", str(entry["member"])), path)
            digest = hashlib.sha256()
            with open(path, "rb") as content:
                for piece in iter(lambda: content.read(1 << 20), b""):
                    digest.update(piece)
            if digest.hexdigest() != entry["sha256"]:
                sys.exit("%r is damaged" % entry["key"])


def links():
    for wanted in ("hard_link", "symlink"):
        for number, entry in entries():
            if entry["kind"] == "hard_link" == wanted:
                os.link(place(0, {"key": entry["link"]}), directory_of(place(number, entry)), follow_symlinks=False)
            elif entry["kind"] == "symlink" == wanted:
                os.symlink(entry["link"], directory_of(place(number, entry)))


def owner_of(told, name, number, by_name):
    try:
        return by_name(told[name]) if name in told else told.get(number, -1)
    except KeyError:
        return told.get(number, -1)


def dress(number, entry):
    import grp, pwd

    path, told = place(number, entry), entry["attributes"]
    if os.geteuid() == 0:
        user = owner_of(told, "user", "uid", lambda name: pwd.getpwnam(name).pw_uid)
        group = owner_of(told, "group", "gid", lambda name: grp.getgrnam(name).gr_gid)
        os.chown(path, user, group, follow_symlinks=False)
    if "mode" in told and entry["kind"] != "symlink":
        os.chmod(path, int(told["mode"], 8))
    for name, value in told.get("xattrs", {}).items():
        try:
            os.setxattr(path, name, base64.b64decode(value), follow_symlinks=False)
        except OSError as error:
            print("%r: %s was not put back: %s" % (entry["key"], name, error.strerror))
    if "mtime" in told:
        seconds, _, rest = told["mtime"].lstrip("-").partition(".")
        moment = (int(seconds) * 10**9 + int(rest)) * (-1 if told["mtime"].startswith("-") else 1)
        try:
            os.utime(path, ns=(moment, moment), follow_symlinks=False)
        except (OSError, OverflowError) as error:
            print("%r: the time of change was not put back: %s" % (entry["key"], error))


def dress_all():
    directories = []
    for number, entry in entries():
        if entry["kind"] == "directory":
            directories.append((number, entry))
        elif entry["kind"] != "hard_link":
            dress(number, entry)
    for number, entry in reversed(directories):
        dress(number, entry)


def index_of_objects():
    with open(os.path.join(target, "objects.jsonl"), "x", encoding="ascii") as objects:
        for number, entry in entries():
            told = {"file": "%08d" % number, "key": entry["key"], "attributes": entry["attributes"]}
            objects.write(json.dumps(told) + "\\n")


if step == "split":
    split()
elif step == "contents":
    contents(sys.argv[5])
elif kind == "bucket":
    index_of_objects()
else:
    links()
    dress_all()
END
PYTHONUTF8=1 python3 "$WORK/place.py" split "$KIND" "$TARGET" "$WORK" || exit 1
```

## 4. Put every content in its place

Part by part. Each content is compared with the SHA-256 that the listing says.

```sh
while read -r PART; do
  <<open>> "$WORK/part.zst" "$REPOSITORY/$KIND/$RESOURCE/parts/$PART" || exit 1
  zstd -q -d "$WORK/part.zst" -o "$WORK/part" || exit 1
  mkdir "$WORK/members" || exit 1
  tar -x -f "$WORK/part" -C "$WORK/members" || exit 1
  PYTHONUTF8=1 python3 "$WORK/place.py" contents "$KIND" "$TARGET" "$WORK" "$PART" || exit 1
  rm -r "$WORK/part.zst" "$WORK/part" "$WORK/members" || exit 1
done < "$WORK/parts"
<<finish>>```

## 5. Links, owners, modes and times

```sh
PYTHONUTF8=1 python3 "$WORK/place.py" finish "$KIND" "$TARGET" "$WORK" || exit 1
echo "all of $SNAPSHOT is in $TARGET"
```

Of a directory, `$TARGET` now is what it was. Of a command it holds the one file that the command wrote: give it to what takes it
back, whose name is in the stack file. Of Redis it holds `dump.rdb`: stop the server, put it into the server's directory, owned by
the server's user, and start it (with `appendonly no`, else it is not read). Of a bucket, each object is a file with a number,
because keys may be what no file can be called: `$TARGET/objects.jsonl` says which key and which attributes belong to which.
Upload each with whatever the new store is used with, for example
`aws s3api put-object --bucket BUCKET --key KEY --body FILE --content-type TYPE`.

Of a PostgreSQL server (`postgres-dump`), `$TARGET` holds `globals.sql`, its roles, and for each database a directory, which
`dump.json` lists. On a server of the same major version or a newer one, as its superuser; that a role is there already does no
harm:

```
psql --file="$TARGET/globals.sql" postgres
createdb --template=template0 shop
pg_restore --exit-on-error --jobs=2 --dbname=shop "$TARGET/shop"
```

The second and third line once for each database; one table alone: `pg_restore --schema=public --table=orders --dbname=shop`.
"""
)
