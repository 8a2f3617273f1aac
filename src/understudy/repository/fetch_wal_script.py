"""The only shell program of ours that a server runs: what its ``restore_command`` calls for each WAL file.

For any POSIX shell, with coreutils and grep. It decides nothing but "delivered", "not there" and "fault": PostgreSQL takes exit
codes from 1 to 125 for the end of WAL and opens the database, so "not there" has a code of its own that no program here answers
by accident (``cp`` on a full disk exits with 1), and everything else counts as a fault.
"""

from __future__ import annotations

DELIVERED = 0
NOT_THERE = 44
FAULT = 255
END_OF_LIST = "end-of-list"

FETCH_WAL = f"""\
#!/bin/sh
# Written by Understudy. Called by restore_command: fetch-wal DIRECTORY %f %p $PPID
# Exits {DELIVERED}: delivered. {NOT_THERE}: the repositories hold no such file. Anything else: a fault, not the end of WAL.
export LC_ALL=C
umask 077
directory=$1 name=$2 target=$3 server=$4
unfinished=$target.unfinished

answer() {{
    printf '%s %s %s\\n' "$name" "$1" "$server" >> "$directory/requests" || exit {FAULT}
    exit "$1"
}}

# Tells the fetching process what is wanted. Fails when that process does not live: nobody then holds the FIFO's other end.
ask() {{
    printf '%s\\n' "$name" | dd of="$directory/asked" oflag=nonblock conv=nocreat,notrunc 2>/dev/null
}}

whole() {{
    size=$(wc -c < "$1") || return 1
    case $name in
        *.history) test "$size" -gt 0 ;;
        *) test "$size" -eq "$segment_bytes" ;;
    esac
}}

# A link costs nothing where a copy of 16 MB costs the server 30 ms. The bytes stay ours: a server in recovery does not write to
# WAL files that it was given before it is promoted, and after that nobody asks for them again.
deliver() {{
    rm -f "$unfinished" "$target"
    ln "$directory/ready/$name" "$unfinished" 2>/dev/null || cp "$directory/ready/$name" "$unfinished" || return 1
    whole "$unfinished" && mv "$unfinished" "$target"
}}

read -r segment_bytes < "$directory/segment-bytes" || answer {FAULT}

# 2 lines: the name and the end of the list. 1: only the end, so the name is not there. Else the list itself cannot be trusted.
lines=$(grep -cxF -e "$name" -e {END_OF_LIST} "$directory/expected")
test $? -le 1 || answer {FAULT}
case $lines in
    2) ;;
    1) ask; answer {NOT_THERE} ;;
    *) answer {FAULT} ;;
esac

silent=0
while :; do
    if ask; then silent=0; else silent=$((silent + 1)); fi
    if test -f "$directory/ready/$name"; then
        deliver && answer {DELIVERED}
        rm -f "$unfinished"
        test -f "$directory/ready/$name" && answer {FAULT}
    fi
    test -e "$directory/error" && answer {FAULT}
    # A controller that was killed may come back: the server is given ten seconds before it stops for good.
    test "$silent" -lt 100 || answer {FAULT}
    sleep 0.1 || answer {FAULT}
done
"""
